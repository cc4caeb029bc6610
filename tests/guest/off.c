// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Off means stock: with enabled=0 or timeout_ms=0 every operation sends the
 * commands it sends on the stock driver, in the same order. What those are
 * is written down here, and checked by running this on the stock driver too.
 */
#include "virtgpu.h"

#include <stdio.h>
#include <unistd.h>

#include <linux/virtio_gpu.h>

#define CREATE_2D	VIRTIO_GPU_CMD_RESOURCE_CREATE_2D
#define CREATE_3D	VIRTIO_GPU_CMD_RESOURCE_CREATE_3D
#define BACKING		VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING
#define ATTACH		VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE
#define DETACH		VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE
#define UNREF		VIRTIO_GPU_CMD_RESOURCE_UNREF

#define ROUNDS 3

static void assert_sent(struct commands c, const uint16_t *expect, size_t n)
{
	for (unsigned int i = 0; i < c.len; i++)
		if (i >= n || c.type[i] != expect[i])
			fail_msg("command %u is 0x%04x", i, c.type[i]);
	assert_int_equal(c.all, n);
}

#define ASSERT_SENT(...) do {						\
	static const uint16_t expect_[] = { __VA_ARGS__ };		\
	assert_sent(commands_stop(), expect_, ARRAY_SIZE(expect_));	\
} while (0)

static void cycles_send_what_stock_sends(void)
{
	shape_t shapes[] = {
		buffer(64 * KIB),
		texture(64, 64, BIND_SAMPLER_VIEW | BIND_RENDER_TARGET),
	};
	int fd = render_open();

	bo_cycle(fd, buffer(4096));	/* makes the context */
	for (size_t i = 0; i < ROUNDS * ARRAY_SIZE(shapes); i++) {
		struct bo bo;

		commands_start();
		bo = bo_create(fd, shapes[i / ROUNDS]);
		ASSERT_SENT(CREATE_3D, BACKING, ATTACH);
		commands_start();
		bo_close(&bo);
		ASSERT_SENT(DETACH, UNREF);
	}
	close(fd);
}

static void dumb_sends_what_stock_sends(void)
{
	int fd = card_open();
	struct bo keep = bo_dumb(fd, 64, 64), bo;

	for (int i = 0; i < ROUNDS; i++) {
		commands_start();
		bo = bo_dumb(fd, 128, 128);
		if (has_virgl())
			ASSERT_SENT(CREATE_2D, BACKING, ATTACH);
		else
			ASSERT_SENT(CREATE_2D, BACKING);
		commands_start();
		bo_close(&bo);
		if (has_virgl())
			ASSERT_SENT(DETACH, UNREF);
		else
			ASSERT_SENT(UNREF);
	}
	bo_close(&keep);
	close(fd);
}

/* A file that closes with BOs in it */
static void exit_sends_what_stock_sends(void)
{
	int last = render_open();	/* or the console is shown again */
	int fd = render_open();
	struct commands c;

	bo_create(fd, buffer(64 * KIB));
	bo_create(fd, buffer(64 * KIB));
	commands_start();
	close(fd);
	c = commands_stop();
	assert_int_equal(c.unrefs, 2);
	assert_int_equal(c.ctx_detaches, 2);
	assert_int_equal(c.all, 5);		/* and the context's end */
	close(last);
}

static void turn_off(const char *knob)
{
	if (!has_cache())
		return;
	knob_write("enabled", 1);
	knob_write(knob, 0);
}

/* Catches: a withheld detach, a reordered or missing command, when off */
static void off_by(const char *knob)
{
	turn_off(knob);
	dumb_sends_what_stock_sends();
	if (!has_virgl())
		return;
	cycles_send_what_stock_sends();
	exit_sends_what_stock_sends();
}

static void not_enabled_is_stock(void **state)
{
	(void)state;
	off_by("enabled");
}

static void no_timeout_is_stock(void **state)
{
	(void)state;
	off_by("timeout_ms");
}

/* The control: that these commands differ when the cache is on */
static void on_differs(void **state)
{
	int fd = card_open();
	struct bo bo = bo_dumb(fd, 64, 64);
	struct commands c;

	(void)state;
	need_virgl();
	need_cache();
	bo_cycle(fd, buffer(64 * KIB));
	commands_start();
	bo_cycle(fd, buffer(64 * KIB));
	c = commands_stop();
	assert_true(c.all < 5);
	bo_close(&bo);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(not_enabled_is_stock),
		test(no_timeout_is_stock),
		test_lasting(on_differs),
	};

	return run(tests);
}
