// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How much faster a BO comes from the resource tier than from the host.
 *
 * tests/run gives this a guest with one processor: what a create or a close
 * leaves for later (workers, answers) is then part of its time, and not hidden
 * on another processor.  Both sides are measured once the ring is full of the
 * commands before, as it is in a long loop.
 */
#include "virtgpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static uint64_t us_for(int fd, shape_t shape, int cycles)
{
	uint64_t start = now_us();

	for (int i = 0; i < cycles; i++)
		bo_cycle(fd, shape);
	return now_us() - start;
}

static uint64_t median(uint64_t *v, size_t n)
{
	qsort(v, n, sizeof(*v), by_value);
	return v[n / 2];
}

/* Off and on take turns, so that a slow moment of the host hits both */
static unsigned int speedup(uint32_t bytes, int cycles_off, int cycles_on)
{
	shape_t shape = buffer(bytes);
	uint64_t off[9], on[9], ns_off, ns_on;
	int fd = render_open();

	for (size_t i = 0; i < ARRAY_SIZE(off); i++) {
		knob_write("enabled", 0);
		us_for(fd, shape, 2);
		wait_for_rest();
		off[i] = us_for(fd, shape, cycles_off);
		knob_write("enabled", 1);
		us_for(fd, shape, 4);
		wait_for_rest();
		on[i] = us_for(fd, shape, cycles_on);
	}
	close(fd);
	ns_off = median(off, ARRAY_SIZE(off)) * 1000 / cycles_off;
	ns_on = median(on, ARRAY_SIZE(on)) * 1000 / cycles_on;
	printf("# %u KiB: off %.1f us, on %.1f us a cycle: %.1f times\n",
	       bytes / 1024, ns_off / 1e3, ns_on / 1e3,
	       (double)ns_off / ns_on);
	return ns_off / ns_on;
}

/* Catches: an allocation, zeroing or scatter list in the hit path */
static void hit_64k_is_30_times_faster(void **state)
{
	(void)state;
	need_virgl();
	need_cache();
	assert_true(speedup(64 * KIB, 1000, 2000) >= 30);
}

static void hit_1m_is_40_times_faster(void **state)
{
	(void)state;
	need_virgl();
	need_cache();
	assert_true(speedup(1 * MIB, 200, 1000) >= 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(hit_64k_is_30_times_faster),
		test(hit_1m_is_40_times_faster),
	};

	return run(tests);
}
