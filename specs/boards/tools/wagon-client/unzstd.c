// SPDX-License-Identifier: GPL-3.0-or-later
// Unpacks zstd from standard input to standard output (RFC 8878); fails when the input is damaged or cut off.

#include <stdio.h>
#include <stdlib.h>
#include <zstd.h>

int main(void)
{
	size_t room = ZSTD_DStreamInSize(), space = ZSTD_DStreamOutSize();
	void *in = malloc(room), *out = malloc(space);
	ZSTD_DStream *stream = ZSTD_createDStream();
	size_t left = 1; // 0 at the end of each frame; no frame at all is an error, too

	if (!in || !out || !stream) {
		fputs("unzstd: out of memory\n", stderr);
		return 1;
	}
	for (size_t got; (got = fread(in, 1, room, stdin)) > 0;) {
		ZSTD_inBuffer source = {in, got, 0};

		while (source.pos < source.size) {
			ZSTD_outBuffer target = {out, space, 0};

			left = ZSTD_decompressStream(stream, &target, &source);
			if (ZSTD_isError(left)) {
				fprintf(stderr, "unzstd: %s\n", ZSTD_getErrorName(left));
				return 1;
			}
			if (fwrite(out, 1, target.pos, stdout) != target.pos) {
				perror("unzstd");
				return 1;
			}
			// What the last call had no room for is written before more is read.
			if (source.pos == source.size && target.pos == target.size) {
				do {
					target.pos = 0;
					left = ZSTD_decompressStream(stream, &target, &source);
					if (ZSTD_isError(left) || fwrite(out, 1, target.pos, stdout) != target.pos) {
						fputs("unzstd: the output cannot be written\n", stderr);
						return 1;
					}
				} while (target.pos == target.size);
			}
		}
	}
	if (ferror(stdin) || left || fflush(stdout)) {
		fputs("unzstd: the input is cut off, or the output cannot be written\n", stderr);
		return 1;
	}
	return 0;
}
