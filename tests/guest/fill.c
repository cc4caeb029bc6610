// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Not a test: frees BOs of all kinds, so that the cache is full, and leaves. With
 * the argument "stay" it stays; with "keep" it stays and has not freed them; with
 * "churn" it goes on creating and freeing them until the device is gone. Two
 * more arguments name files that it waits for: before it makes BOs, and before it
 * frees them.
 */
#include "virtgpu.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Says so, and waits until somebody has made the file */
static void wait_for_file(const char *path)
{
	if (!path)
		return;
	puts("waits");
	fflush(stdout);
	while (access(path, F_OK))
		sleep_ms(50);
}

int main(int argc, char **argv)
{
	const char *then = argc > 1 ? argv[1] : "leave";
	int fd = card_open();
	struct bo first, bo[32];

	first = bo_dumb(fd, 64, 64);	/* makes its context */
	bo_close(&first);
	wait_for_file(argc > 2 ? argv[2] : NULL);
	for (size_t i = 0; i < ARRAY_SIZE(bo); i++) {
		bo[i] = i & 1 || !has_virgl() ? bo_dumb(fd, 512, 512) :
						bo_create(fd, buffer(MIB));
		bo_fill(&bo[i], i);
		bo_wait(&bo[i]);
	}
	wait_for_file(argc > 3 ? argv[3] : NULL);
	for (size_t i = 0; i < ARRAY_SIZE(bo) && strcmp(then, "keep"); i++)
		bo_close(&bo[i]);
	if (!strcmp(then, "stay") || !strcmp(then, "keep")) {
		puts("stays");
		fflush(stdout);
		pause();
	}
	if (!strcmp(then, "churn"))
		client_churn(getpid(), UINT64_MAX);
	close(fd);
	wait_for_rest();
	return 0;
}
