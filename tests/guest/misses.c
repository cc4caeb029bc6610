// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A miss says what kept the nearest BO from being a hit, and hits, misses and
 * what expired say by how long ago it was freed.
 */
#include "virtgpu.h"

#include <unistd.h>

#define SIZE (256 * KIB)
#define PAGE (4 * KIB)

/* The values are the interface */
enum { EMPTY, OTHER_SIZE, CGROUP, OWNER, IDENT, BUSY, BACKOFF };

/* How often to try what is over in less than a millisecond */
#define TRIES 200

/* Creates one that the cache does not have, and it says why */
static void assert_miss(int fd, uint32_t bytes, unsigned int reason)
{
	struct bo bo;

	events_start("bo_cache_miss");
	bo = bo_plain(fd, bytes);
	assert_int_equal(events_stop(), 1);
	assert_int_equal(event_field("reason"), reason);
	bo_close(&bo);
}

/* Catches: an event without a reason, or with one that is not so */
static void nothing_is_there(void **state)
{
	int fd = card_open();

	(void)state;
	need_cache();
	bos_free(fd, 1, 4 * SIZE, BOTH);
	wait_for_rest();
	assert_miss(fd, SIZE, EMPTY);
	assert_int_equal(event_field("tier"), 0);
	assert_int_equal(event_field("age_ms"), 0);
	close(fd);
}

/* Catches: what is too small taken for what is not there; a wrong age */
static void it_has_another_size(void **state)
{
	int fd = card_open();

	(void)state;
	need_cache();
	knob_write("timeout_ms", 60000);
	bos_free(fd, 1, SIZE, PAGES);
	wait_for_rest();
	sleep_ms(300);
	assert_miss(fd, SIZE + PAGE, OTHER_SIZE);
	assert_int_equal(event_field("tier"), PAGES);
	assert_true(event_field("age_ms") >= 300 &&
		    event_field("age_ms") <= HANG_MS);
	close(fd);
}

/* Catches: the owner's own taken for another's */
static void it_was_created_otherwise(void **state)
{
	int fd = card_open();
	struct bo bo;

	(void)state;
	need_cache();
	need_virgl();
	knob_write("timeout_ms", 60000);
	bo_cycle(fd, texture(256, 256, BIND_RENDER_TARGET));
	events_start("bo_cache_miss");
	bo = bo_create(fd, texture(256, 256, BIND_SAMPLER_VIEW));
	assert_int_equal(events_stop(), 1);
	assert_int_equal(event_field("reason"), IDENT);
	assert_int_equal(event_field("tier"), RESOURCE);
	bo_close(&bo);
	close(fd);
}

/* Catches: another's taken for what is not there */
static void it_is_another_file_s(void **state)
{
	int fd = render_open(), other = render_open();

	(void)state;
	need_cache();
	need_virgl();
	knob_write("timeout_ms", 60000);
	bos_free(other, 1, SIZE, RESOURCE);
	assert_miss(fd, SIZE, OWNER);
	close(fd);
	close(other);
}

static void free_pages_in_group(void *group)
{
	int fd;

	group_enter(group);
	fd = card_open();
	bos_free(fd, 1, SIZE, PAGES);
	close(fd);
}

/* Catches: another cgroup's pages taken for what is not there */
static void it_is_another_cgroup_s(void **state)
{
	static char group[] = "bo-cache-misses";
	int fd = card_open();

	(void)state;
	need_cache();
	knob_write("timeout_ms", 60000);
	group_make(group, 0);
	assert_int_equal(client_run(free_pages_in_group, group), 0);
	wait_for_rest();
	assert_miss(fd, SIZE, CGROUP);
	assert_int_equal(event_field("tier"), PAGES);
	close(fd);
}

/* Catches: pages that are with the host taken for what is not there */
static void the_host_has_it(void **state)
{
	int fd = card_open();
	struct bo bo;
	bool seen = false;

	(void)state;
	need_cache();
	for (int i = 0; i < TRIES && !seen; i++) {
		knob_write("timeout_ms", 0);
		knob_write("timeout_ms", 1000);
		wait_for_rest();
		events_start("bo_cache_miss");
		bos_free(fd, 1, MIB, PAGES);
		bo = bo_plain(fd, MIB);
		if (events_stop())
			seen = event_field("reason") == BUSY;
		bo_close(&bo);
	}
	assert_true(seen);
	close(fd);
}

/* Catches: a cgroup that backs off taken for an idle one */
static void memory_was_short(void **state)
{
	int fd = card_open();

	(void)state;
	need_cache();
	knob_write("timeout_ms", 60000);
	bos_free(fd, 8, SIZE, BOTH);
	wait_for_rest();
	shrink_all();
	assert_miss(fd, SIZE, BACKOFF);
	close(fd);
}

/* Creates one; event_field() is then of the one EVENT that this causes */
static struct bo plain_traced(int fd, const char *event)
{
	struct bo bo;

	events_start(event);
	bo = bo_plain(fd, SIZE);
	assert_int_equal(events_stop(), 1);
	return bo;
}

/* Catches: an age in other units, or of something else */
static void hits_have_an_age(void **state)
{
	int fd = card_open();
	struct bo bo;

	(void)state;
	need_cache();
	knob_write("timeout_ms", 60000);
	bos_free(fd, 1, SIZE, PAGES);
	wait_for_rest();
	sleep_ms(300);
	bo = plain_traced(fd, "bo_cache_hit");
	assert_int_equal(event_field("tier"), PAGES);
	assert_true(event_field("age_ms") >= 300 &&
		    event_field("age_ms") <= HANG_MS);
	assert_int_equal(event_field("age_ms"), event_field("age_us") / 1000);
	bo_close(&bo);
	close(fd);
}

/* Catches: a create that does not say where the BO came from, or which it is */
static void creates_say_what_they_got(void **state)
{
	int fd = card_open();
	struct bo bo;

	(void)state;
	need_cache();
	knob_write("timeout_ms", 60000);
	bo = plain_traced(fd, "bo_cache_created");
	assert_int_equal(event_field("tier"), 0);
	assert_int_equal(event_field("size"), SIZE);
	assert_int_equal(event_field("res_id"), bo.res);
	assert_true(event_field("took_us") > 0 &&
		    event_field("took_us") <= HANG_MS * 1000);
	bo_close(&bo);
	wait_for_rest();
	bo = plain_traced(fd, "bo_cache_created");
	assert_int_equal(event_field("tier"), has_virgl() ? RESOURCE : PAGES);
	bo_close(&bo);
	bos_free(fd, 1, SIZE, PAGES);
	wait_for_rest();
	bo = plain_traced(fd, "bo_cache_created");
	assert_int_equal(event_field("tier"), PAGES);
	bo_close(&bo);
	close(fd);
}

/* Catches: knobs that are not those in force, or a cache that is off but not so */
static void creates_say_what_is_in_force(void **state)
{
	int fd = card_open();
	struct bo bo;

	(void)state;
	need_cache();
	knob_write("timeout_ms", 1234);
	bo = plain_traced(fd, "bo_cache_create");
	assert_int_equal(event_field("timeout_ms"), 1234);
	assert_int_equal(event_field("max_bytes"), knob_read("max_bytes"));
	assert_int_equal(event_field("tgid"), getpid());
	bo_close(&bo);
	knob_write("enabled", 0);
	bo = plain_traced(fd, "bo_cache_create");
	assert_int_equal(event_field("timeout_ms"), 0);
	bo_close(&bo);
	close(fd);
}

/* Catches: a verdict that is not the driver's */
static void frees_say_what_becomes_of_it(void **state)
{
	int fd = card_open();
	struct bo bo = bo_plain(fd, SIZE);

	(void)state;
	need_cache();
	events_start("bo_cache_free");
	bo_close(&bo);
	wait_for_rest();
	assert_int_equal(events_stop(), 1);
	assert_int_equal(event_field("tier"), has_virgl() ? RESOURCE : PAGES);
	assert_int_equal(event_field("res_id"), bo.res);
	knob_write("enabled", 0);
	bo = bo_plain(fd, SIZE);
	events_start("bo_cache_free");
	bo_close(&bo);
	wait_for_rest();
	assert_int_equal(events_stop(), 1);
	assert_int_equal(event_field("tier"), 0);
	close(fd);
}

/* Catches: files that are closed without anybody hearing of it */
static void closing_is_traced(void **state)
{
	int fd = card_open();

	(void)state;
	need_virgl();			/* else files own nothing */
	need_cache();
	events_start("bo_cache_close");
	close(fd);
	assert_int_equal(events_stop(), 1);
	assert_true(event_field("owner") > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(nothing_is_there),
		test(it_has_another_size),
		test(it_was_created_otherwise),
		test(it_is_another_file_s),
		test(it_is_another_cgroup_s),
		test(the_host_has_it),
		test_in_group(memory_was_short),
		test(hits_have_an_age),
		test(creates_say_what_they_got),
		test(creates_say_what_is_in_force),
		test(frees_say_what_becomes_of_it),
		test(closing_is_traced),
	};

	return run(tests);
}
