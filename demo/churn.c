// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Dumb-buffer churn: what a software renderer does while its window is being
 * resized. Each frame gets a new buffer of the next size, is drawn, and the
 * frame before it is thrown away.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <xf86drm.h>
#include <xf86drmMode.h>

static const struct { uint32_t width, height; } sizes[] = {
	{ 640, 400 }, { 800, 500 }, { 960, 600 },
};

static void check(int ret, const char *what)
{
	if (ret) {
		perror(what);
		exit(1);
	}
}

static void draw(int fd, uint32_t handle, uint64_t size, int colour)
{
	uint64_t offset;
	void *pixels;

	check(drmModeMapDumbBuffer(fd, handle, &offset), "MAP_DUMB");
	pixels = mmap(NULL, size, PROT_WRITE, MAP_SHARED, fd, offset);
	check(pixels == MAP_FAILED, "mmap");
	memset(pixels, colour, size);
	munmap(pixels, size);
}

int main(int argc, char **argv)
{
	const int frames = argc > 1 ? atoi(argv[1]) : 100;
	int fd = drmOpen("virtio_gpu", NULL);
	uint32_t shown = 0;

	check(fd < 0, "open");
	for (int i = 0; i < frames; i++) {
		unsigned int s = i % (sizeof(sizes) / sizeof(sizes[0]));
		uint32_t handle, pitch;
		uint64_t size;

		check(drmModeCreateDumbBuffer(fd, sizes[s].width,
					      sizes[s].height, 32, 0, &handle,
					      &pitch, &size), "CREATE_DUMB");
		draw(fd, handle, size, i);
		if (shown)
			drmModeDestroyDumbBuffer(fd, shown);
		shown = handle;
	}
	return 0;
}
