/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Stands in an emulated root for a program of its GCC, and runs the same program of this machine's cross compiler.
 *
 * As a driver (gcc, g++, cpp) it only says where the root's GCC has its files: GCC_EXEC_PREFIX. As a compiler proper
 * (cc1, cc1plus, lto1) it also puts the root's own .ident into the assembler text, as two releases of one compiler
 * differ in nothing else. That text is in crtbegin.o, which the root's compiler was the one to compile.
 *
 * OWN: the folder of the root's GCC; REAL: that of the native programs.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char MARK[] = "\t.ident\t\"GCC: ";

static void fail(const char *what)
{
	fprintf(stderr, "native compiler: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* The text behind "GCC: " in crtbegin.o; NULL when there is none. */
static const char *root_ident(void)
{
	static char content[1 << 20];
	int file = open(OWN "/crtbegin.o", O_RDONLY | O_CLOEXEC);
	ssize_t size = file < 0 ? 0 : read(file, content, sizeof content - 1);
	const char *found;

	if (file >= 0)
		close(file);
	found = size > 0 ? memmem(content, size, "GCC: ", 5) : NULL;
	return found ? found + 5 : NULL;
}

/* Writes one line, with the root's text if it is the .ident. */
static void put(const char *line, size_t size, const char *ident, FILE *out)
{
	if (size > sizeof MARK - 1 && !memcmp(line, MARK, sizeof MARK - 1))
		fprintf(out, "%s%s\"\n", MARK, ident);
	else
		fwrite(line, 1, size, out);
}

static void copy(FILE *in, const char *ident, FILE *out)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t size;

	while ((size = getline(&line, &room, in)) > 0)
		put(line, size, ident, out);
	if (fflush(out) || ferror(in))
		fail("cannot write");
	free(line);
}

/* The .ident is among the last lines of a file: only those are written anew. */
static void mend(const char *name, const char *ident)
{
	static char tail[8192];
	struct stat info;
	int file = open(name, O_RDWR | O_CLOEXEC);
	off_t start;
	ssize_t size;
	char *at, *end, line[512];
	int length;

	if (file < 0 || fstat(file, &info) || !S_ISREG(info.st_mode))
		return;
	start = info.st_size > (off_t)sizeof tail ? info.st_size - (off_t)sizeof tail : 0;
	size = pread(file, tail, sizeof tail, start);
	at = size > 0 ? memmem(tail, size, MARK, sizeof MARK - 1) : NULL;
	end = at ? memchr(at, '\n', tail + size - at) : NULL;
	if (end) {
		length = snprintf(line, sizeof line, "%s%s\"\n", MARK, ident);
		if (pwrite(file, line, length, start + (at - tail)) != length ||
		    pwrite(file, end + 1, tail + size - end - 1, start + (at - tail) + length) != tail + size - end - 1 ||
		    ftruncate(file, info.st_size - (end + 1 - at) + length))
			fail(name);
	}
	close(file);
}

static int finish(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			fail("cannot wait");
	if (WIFSIGNALED(status)) {
		signal(WTERMSIG(status), SIG_DFL);
		raise(WTERMSIG(status));
	}
	return WEXITSTATUS(status);
}

static int compile(const char *program, char **arguments, const char *ident)
{
	const char *output = NULL;
	int ends[2] = { -1, -1 }, status;
	pid_t child;

	for (char **one = arguments; *one; one++)
		if (!strcmp(*one, "-o") && one[1])
			output = one[1];
	if ((!output || !strcmp(output, "-")) && pipe2(ends, O_CLOEXEC))
		fail("cannot make a pipe");
	child = fork();
	if (child < 0)
		fail("cannot fork");
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (ends[1] >= 0)
			dup2(ends[1], 1);
		execv(program, arguments);
		fail(program);
	}
	if (ends[1] >= 0) {
		close(ends[1]);
		copy(fdopen(ends[0], "r"), ident, stdout);
	}
	status = finish(child);
	if (!status && ends[1] < 0)
		mend(output, ident);
	return status;
}

int main(int count, char **arguments)
{
	const char *slash = strrchr(arguments[0], '/'), *name = slash ? slash + 1 : arguments[0], *ident;
	char self[PATH_MAX], program[PATH_MAX];
	ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);

	(void)count;
	if (size > 0) { /* gcc is a link to this */
		self[size] = 0;
		name = strrchr(self, '/') + 1;
	}
	snprintf(program, sizeof program, "%s/%s", REAL, name);
	if (!strncmp(name, "cc1", 3) || !strncmp(name, "lto1", 4)) {
		ident = root_ident();
		if (ident)
			return compile(program, arguments, ident);
	} else {
		setenv("GCC_EXEC_PREFIX", "/usr/lib/gcc/", 0);
	}
	execv(program, arguments);
	fail(program);
}
