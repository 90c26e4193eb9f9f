/* Threads, floating point, regular expressions, a child process: what a small C program wants of its system. */
#include <math.h>
#include <pthread.h>
#include <regex.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static void *number(void *argument) { return argument; }

int main(void)
{
	pthread_t thread[4];
	long sum = 0;
	for (long i = 0; i < 4; i++)
		pthread_create(&thread[i], 0, number, (void *)1L);
	for (int i = 0; i < 4; i++) {
		void *result;
		pthread_join(thread[i], &result);
		sum += (long)result;
	}
	regex_t regex;
	if (regcomp(&regex, "^m.*s$", REG_EXTENDED))
		return 2;
	int status;
	pid_t child = fork();
	if (child == 0)
		_exit(7);
	if (waitpid(child, &status, 0) != child || WEXITSTATUS(status) != 7)
		return 3;
	volatile double two = 2;
	printf("threads %ld, root %f, match %d\n", sum, sqrt(two), !regexec(&regex, "mfs", 0, 0, 0));
	return 0;
}
