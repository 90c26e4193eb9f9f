/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * growroot table DISK NUMBER     makes partition NUMBER of DISK end where the disk ends (before it is mounted)
 * growroot fs DEVICE FOLDER      makes the ext4 mounted at FOLDER as large as its block device (while it is mounted)
 *
 * Nothing is written when there is nothing to gain, when another partition lies behind, or when the table is not
 * one that is understood. A table's entry is changed in one sector; of a GPT the backup at the end is written first,
 * so that a table that is whole is found whenever the power goes. Formats: UEFI 2.10, 5.3 (GPT); ext4_fs.h (ioctl).
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <linux/fs.h>
#include <unistd.h>

#define SECTOR 512ull
#define ALIGN 2048ull /* sectors: the new end is a whole mebibyte */
#define EXT4_IOC_RESIZE_FS _IOW('f', 16, uint64_t)

static int fail(const char *what)
{
	fprintf(stderr, "growroot: %s: %s\n", what, errno ? strerror(errno) : "not understood");
	return 1;
}

static uint64_t get(const uint8_t *at, int bytes)
{
	uint64_t value = 0;
	while (bytes--)
		value = value << 8 | at[bytes];
	return value;
}

static void put(uint8_t *at, int bytes, uint64_t value)
{
	for (; bytes--; value >>= 8)
		*at++ = value & 0xff;
}

static uint32_t crc32(const uint8_t *data, size_t length)
{
	uint32_t crc = ~0u;
	while (length--) {
		crc ^= *data++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

static int move(int disk, int writing, void *data, size_t length, uint64_t sector)
{
	ssize_t done = writing ? pwrite(disk, data, length, sector * SECTOR) : pread(disk, data, length, sector * SECTOR);
	return done == (ssize_t)length ? 0 : -1;
}

/* A logical partition table is not looked into: an extended partition behind counts as another partition. */
static int grow_mbr(int disk, uint8_t *mbr, int number, uint64_t sectors)
{
	uint8_t *entry = mbr + 446 + 16 * (number - 1);
	uint64_t start = get(entry + 8, 4), size = get(entry + 12, 4), end = sectors / ALIGN * ALIGN;
	if (number > 4 || !entry[4] || !size)
		return fail("no such partition");
	for (int i = 0; i < 4; i++)
		if (mbr[446 + 16 * i + 4] && get(mbr + 446 + 16 * i + 8, 4) > start)
			return 0;
	if (end > 0xffffffffull)
		end = 0xffffffffull / ALIGN * ALIGN;
	if (end < start + size + ALIGN)
		return 0;
	put(entry + 12, 4, end - start);
	return move(disk, 1, mbr, SECTOR, 0) ? fail("write") : 0;
}

static int grow_gpt(int disk, int number, uint64_t sectors)
{
	uint8_t header[SECTOR], entries[128 * 128];
	if (move(disk, 0, header, SECTOR, 1) || memcmp(header, "EFI PART", 8))
		return fail("GPT");
	uint32_t count = get(header + 80, 4), each = get(header + 84, 4), size = get(header + 12, 4);
	uint64_t first = get(header + 72, 8), length = (uint64_t)count * each, table = (length + SECTOR - 1) / SECTOR;
	uint32_t crc = get(header + 16, 4);
	put(header + 16, 4, 0);
	if (size > SECTOR || each != 128 || length > sizeof entries || crc32(header, size) != crc)
		return fail("GPT header");
	memset(entries, 0, sizeof entries);
	if (move(disk, 0, entries, table * SECTOR, first) || crc32(entries, length) != get(header + 88, 4))
		return fail("GPT entries");
	if (number < 1 || (uint32_t)number > count || !get(entries + 128 * (number - 1) + 32, 8))
		return fail("no such partition");
	uint8_t *entry = entries + 128 * (number - 1);
	uint64_t usable = sectors - table - 2, last = (usable + 1) / ALIGN * ALIGN - 1;
	for (uint32_t i = 0; i < count; i++)
		if (get(entries + 128 * i + 32, 8) > get(entry + 32, 8))
			return 0;
	if (last < get(entry + 40, 8) + ALIGN)
		return 0;
	put(entry + 40, 8, last);
	put(header + 48, 8, usable);
	put(header + 88, 4, crc32(entries, length));
	for (int backup = 1; backup >= 0; backup--) {
		put(header + 24, 8, backup ? sectors - 1 : 1);
		put(header + 32, 8, backup ? 1 : sectors - 1);
		put(header + 72, 8, backup ? usable + 1 : first);
		put(header + 16, 4, 0);
		put(header + 16, 4, crc32(header, size));
		if (move(disk, 1, entries, table * SECTOR, backup ? usable + 1 : first) ||
		    move(disk, 1, header, SECTOR, backup ? sectors - 1 : 1) || fsync(disk))
			return fail("write");
	}
	return 0;
}

static int grow_table(const char *path, int number)
{
	uint8_t mbr[SECTOR];
	uint64_t bytes = 0;
	int disk = open(path, O_RDWR | O_CLOEXEC);
	if (disk < 0)
		return fail(path);
	if (ioctl(disk, BLKGETSIZE64, &bytes)) { /* a plain file, in tests */
		off_t end = lseek(disk, 0, SEEK_END);
		bytes = end > 0 ? end : 0;
	}
	errno = 0;
	if (move(disk, 0, mbr, SECTOR, 0) || mbr[510] != 0x55 || mbr[511] != 0xaa)
		return fail("partition table");
	int status = mbr[446 + 4] == 0xee ? grow_gpt(disk, number, bytes / SECTOR) : grow_mbr(disk, mbr, number, bytes / SECTOR);
	if (!status && fsync(disk))
		return fail("fsync");
	if (!status)
		ioctl(disk, BLKRRPART, 0);
	return status;
}

static int grow_fs(const char *device, const char *folder)
{
	uint64_t bytes = 0, blocks;
	uint8_t super[1024];
	int block = open(device, O_RDONLY | O_CLOEXEC), top = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (block < 0 || top < 0)
		return fail(block < 0 ? device : folder);
	if (ioctl(block, BLKGETSIZE64, &bytes))
		return fail("BLKGETSIZE64");
	errno = 0;
	if (pread(block, super, sizeof super, 1024) != sizeof super || get(super + 56, 2) != 0xef53)
		return fail("ext4");
	blocks = bytes / (1024ull << get(super + 24, 4));
	if (blocks <= (get(super + 4, 4) | get(super + 336, 4) << 32))
		return 0;
	return ioctl(top, EXT4_IOC_RESIZE_FS, &blocks) ? fail("EXT4_IOC_RESIZE_FS") : 0;
}

int main(int count, char **words)
{
	if (count == 4 && !strcmp(words[1], "table"))
		return grow_table(words[2], atoi(words[3]));
	if (count == 4 && !strcmp(words[1], "fs"))
		return grow_fs(words[2], words[3]);
	fprintf(stderr, "usage: growroot table DISK NUMBER | growroot fs DEVICE FOLDER\n");
	return 2;
}
