// SPDX-License-Identifier: GPL-2.0-or-later
/* Not a test: frees BOs of all kinds and leaves, so that the cache is full */
#include "virtgpu.h"

#include <unistd.h>

int main(void)
{
	int fd = card_open();
	struct bo bo[32];

	for (size_t i = 0; i < ARRAY_SIZE(bo); i++) {
		bo[i] = i & 1 || !has_virgl() ? bo_dumb(fd, 512, 512) :
						bo_create(fd, buffer(MIB));
		bo_fill(&bo[i], i);
		bo_wait(&bo[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bo); i++)
		bo_close(&bo[i]);
	close(fd);
	wait_for_rest();
	return 0;
}
