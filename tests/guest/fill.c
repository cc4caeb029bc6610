// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Not a test: frees BOs of all kinds, so that the cache is full, and leaves; or,
 * with an argument, stays.
 */
#include "virtgpu.h"

#include <unistd.h>

int main(int argc, char **argv)
{
	int fd = card_open();
	struct bo bo[32];

	(void)argv;
	for (size_t i = 0; i < ARRAY_SIZE(bo); i++) {
		bo[i] = i & 1 || !has_virgl() ? bo_dumb(fd, 512, 512) :
						bo_create(fd, buffer(MIB));
		bo_fill(&bo[i], i);
		bo_wait(&bo[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bo); i++)
		bo_close(&bo[i]);
	if (argc > 1)
		pause();
	close(fd);
	wait_for_rest();
	return 0;
}
