// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A 2D device whose host gives it 64 MiB: what the cache still holds there
 * must never be what the next buffer fails for. The guest only logs such an
 * answer, so it is looked for on the control queue.
 */
#include "virtgpu.h"

#include <stdio.h>
#include <unistd.h>

#define BUFFERS 7
#define ROUNDS 12

/* Geometries of 8 MiB */
static const struct { uint32_t width, height; } sizes[] = {
	{ 2048, 1024 }, { 1024, 2048 },
};

static void seven_buffers(int fd, int which, int n)
{
	struct bo bo[BUFFERS + 2];

	for (int i = 0; i < n; i++)
		bo[i] = bo_dumb(fd, sizes[which].width, sizes[which].height);
	for (int i = 0; i < n; i++)
		bo_close(&bo[i]);
}

static void need_2d(void)
{
	if (has_virgl())
		skip();
}

/* Catches: a freed BO's host resource kept on a device without 3D */
static void host_memory_is_given_back(void **state)
{
	int fd = card_open();
	struct commands c;

	(void)state;
	need_2d();
	commands_start();
	for (int i = 0; i < ROUNDS; i++) {
		seven_buffers(fd, 0, BUFFERS);
		seven_buffers(fd, 1, BUFFERS);
	}
	c = commands_stop();
	printf("# %u creates, %u refused\n", c.creates, c.errors);
	assert_int_equal(c.creates, 2 * BUFFERS * ROUNDS);
	assert_int_equal(c.unrefs, c.creates);
	assert_int_equal(c.errors, 0);
	close(fd);
}

/* The control: the host does refuse, and this test would see it */
static void a_refusal_is_seen(void **state)
{
	int fd = card_open();
	struct commands c;

	(void)state;
	need_2d();
	commands_start();
	seven_buffers(fd, 0, BUFFERS + 2);
	c = commands_stop();
	assert_int_equal(c.first_error, 0x1201);	/* out of memory */
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(host_memory_is_given_back),
		test(a_refusal_is_seen),
		/* and not for what was refused before */
		test(host_memory_is_given_back),
	};

	return run(tests);
}
