// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Not a test: frees BOs of all kinds, so that the cache is full, and leaves. With
 * the argument "stay" it stays; with "churn" it goes on creating and freeing
 * them until the device is gone.
 */
#include "virtgpu.h"

#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	const char *then = argc > 1 ? argv[1] : "leave";
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
	if (!strcmp(then, "stay"))
		pause();
	if (!strcmp(then, "churn"))
		client_churn(getpid(), UINT64_MAX);
	close(fd);
	wait_for_rest();
	return 0;
}
