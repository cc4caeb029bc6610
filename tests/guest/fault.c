// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Commands that cannot be queued and a host that says no, by the module in
 * tests/module: nothing is lost, and nothing doubtful is handed out again.
 */
#include "virtgpu.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/virtio_gpu.h>

#define PARAMETERS "/sys/module/virtgpu_fault/parameters/"
#define SHMEM_NOISE_KIB 256
#define FAIL_EVERY 7

static void fault_set(const char *name, uint64_t value)
{
	char path[128], text[32];

	snprintf(path, sizeof(path), PARAMETERS "%s", name);
	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	must(!try_file_write(path, text));
}

static uint64_t fault_read(const char *name)
{
	char path[128], text[32];

	snprintf(path, sizeof(path), PARAMETERS "%s", name);
	must(!try_file_read(path, text, sizeof(text)));
	return strtoull(text, NULL, 10);
}

/* It lies beside this program */
static int load_module(void **state)
{
	char self[PATH_MAX - 64] = "", cmd[PATH_MAX];

	(void)state;
	must(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	snprintf(cmd, sizeof(cmd), "insmod %s/virtgpu_fault.ko", dirname(self));
	return system(cmd);
}

static int unload_module(void **state)
{
	cache_stays_empty(state);
	return system("rmmod virtgpu_fault");
}

static int no_fault(void **state)
{
	(void)state;
	fault_set("fail_every", 0);
	fault_set("answer_to", 0);
	return 0;
}

/* Commands of all kinds, enough for any of them to fail */
static void be_client(void *arg)
{
	shape_t custom = buffer(16 * KIB);
	int fd = card_open();

	(void)arg;
	custom.bind = BIND_CUSTOM;
	for (int i = 0; i < 40; i++) {
		struct bo bo[4];

		for (int n = 0; n < 4; n++)
			bo[n] = n & 1 ? bo_dumb(fd, 64, 64 << n) :
					bo_plain(fd, (i % 8 + 1) * 16 * KIB);
		if (has_virgl()) {
			bo_cycle(fd, custom);
			bo_to_host(&bo[0]);
		}
		close(bo_export(&bo[i % 4]));
		for (int n = 0; n < 4; n++) {
			bo_wait(&bo[n]);
			bo_close(&bo[n]);
		}
		if (i % 20 == 19) {
			close(fd);
			fd = card_open();
		}
	}
	close(fd);
}

/*
 * Catches: a command dropped because it could not be queued, with its BO, or
 * its fence; a retry that queues it twice.
 */
static void adds_that_fail_lose_nothing(int error)
{
	uint64_t shmem, failed;
	struct commands c;

	need_cache();
	shmem = shmem_kib();
	failed = fault_read("failed");
	commands_start();
	fault_set("fail_errno", error);
	fault_set("fail_every", FAIL_EVERY);
	assert_int_equal(client_run(be_client, NULL), 0);
	knob_write("purge", 1);
	assert_int_equal(client_run(be_client, NULL), 0);
	wait_until(!held_bos() && !stat_of("release_bos"));
	fault_set("fail_every", 0);
	c = commands_stop();
	failed = fault_read("failed") - failed;
	printf("# %u commands, %llu times no room; %u creates, %u unrefs\n",
	       c.all, (unsigned long long)failed, c.creates, c.unrefs);
	/* The control: each that failed was tried again, and counted again */
	assert_true(failed + 2 >= (c.all + failed) / FAIL_EVERY);
	assert_int_equal(c.creates, c.unrefs);
	assert_int_equal(c.errors, 0);
	assert_int_equal(stat_of("release_bytes"), 0);
	assert_true(shmem_kib() <= shmem + SHMEM_NOISE_KIB);
	assert_counters_add_up();
}

static void no_memory_to_queue(void **state)
{
	(void)state;
	adds_that_fail_lose_nothing(ENOMEM);
}

static void no_room_to_queue(void **state)
{
	(void)state;
	adds_that_fail_lose_nothing(ENOSPC);
}

static void be_restless(void *arg)
{
	client_churn((uintptr_t)arg, UINT64_MAX);
}

/* Catches: a retry that gives up, or waits for an answer that never comes */
static void nothing_can_be_queued_for_a_while(void **state)
{
	struct client client;
	struct commands c;
	uint64_t failed;

	(void)state;
	need_cache();
	fault_set("fail_errno", ENOMEM);
	commands_start();
	client = client_start(be_restless, (void *)1);
	for (int i = 0; i < 5; i++) {
		sleep_ms(100);
		failed = fault_read("failed");
		fault_set("fail_every", 1);
		wait_until(fault_read("failed") > failed);
		sleep_ms(100);
		fault_set("fail_every", 0);
	}
	client_kill(&client);
	wait_until(!held_bos() && !stat_of("release_bos"));
	c = commands_stop();
	assert_int_equal(c.creates, c.unrefs);
	assert_counters_add_up();
}

/* Has the next commands of this kind refused */
static uint64_t refuse(uint32_t command, uint32_t answer)
{
	fault_set("answer_with", answer);
	fault_set("answer_to", command);
	return fault_read("answered");
}

/* Frees a BO, refused or not; whether another gets its resource */
static bool comes_back(uint32_t command, bool closed_first)
{
	uint64_t answered = refuse(command, VIRTIO_GPU_RESP_ERR_UNSPEC);
	int fd = render_open(), same = 0;
	struct bo bo = bo_create(fd, buffer(64 * KIB));
	uint32_t res = bo.res;

	if (closed_first)
		bo_close(&bo);
	wait_for_rest();
	if (command)
		must(fault_read("answered") > answered);
	fault_set("answer_to", 0);
	if (!closed_first)
		bo_close(&bo);
	wait_for_rest();
	for (int i = 0; i < 4; i++) {
		bo = bo_create(fd, buffer(64 * KIB));
		same += bo.res == res;
	}
	close(fd);
	knob_write("purge", 1);
	wait_for_rest();
	return same;
}

/*
 * Catches: an answer that nobody looks at, whether it arrives before the BO is
 * freed or after. The control is that the BO comes back if nothing is refused.
 */
static void what_the_host_refused_does_not_come_back(void **state)
{
	static const uint32_t commands[] = {
		VIRTIO_GPU_CMD_RESOURCE_CREATE_3D,
		VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING,
		VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE,
	};

	(void)state;
	need_virgl();
	need_cache();
	knob_write("timeout_ms", 60000);
	assert_true(comes_back(0, false));
	for (size_t i = 0; i < 2 * ARRAY_SIZE(commands); i++)
		if (comes_back(commands[i / 2], i & 1))
			fail_msg("refused 0x%x, closed %s", commands[i / 2],
				 i & 1 ? "before" : "after");
	assert_true(comes_back(0, false));
	assert_counters_add_up();
}

/* A host short of memory, whichever way it is asked for some */
static void the_host_is_out_of_memory(int fd, uint32_t command,
				      struct bo (*create)(int fd))
{
	uint64_t answered, purged = stat_of("purged_host");
	struct bo bo;

	bos_free(fd, 16, 64 * KIB, RESOURCE);
	wait_until(stat_of("held_resource_bos") == 16);
	answered = refuse(command, VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY);
	bo = create(fd);
	wait_until(fault_read("answered") > answered);
	wait_until(!stat_of("held_resource_bos"));
	fault_set("answer_to", 0);
	bo_close(&bo);
	assert_int_equal(stat_of("purged_host"), purged + 16);
	wait_for_rest();
	assert_counters_add_up();
}

static struct bo new_buffer(int fd)
{
	return bo_create(fd, buffer(512 * KIB));
}

static struct bo new_dumb(int fd)
{
	return bo_dumb(fd, 256, 256);
}

/* Catches: resources kept that the host needs for somebody else */
static void an_exhausted_host_gets_its_resources_back(void **state)
{
	int fd;

	(void)state;
	need_virgl();
	need_cache();
	fd = card_open();
	knob_write("timeout_ms", 60000);
	the_host_is_out_of_memory(fd, VIRTIO_GPU_CMD_RESOURCE_CREATE_3D,
				  new_buffer);
	the_host_is_out_of_memory(fd, VIRTIO_GPU_CMD_RESOURCE_CREATE_2D,
				  new_dumb);
	close(fd);
}

/* Catches: pages handed on that the host may still write to */
static void pages_it_did_not_let_go_of_stay_away(void **state)
{
	uint64_t answered, refused;
	int fd = card_open();

	(void)state;
	need_cache();
	knob_write("timeout_ms", 60000);
	/* the control */
	bos_free(fd, 4, 64 * KIB, PAGES);
	wait_until(stat_of("held_pages_bos") == 4);
	knob_write("purge", 1);
	refused = stat_of("rejected_refused");
	answered = refuse(VIRTIO_GPU_CMD_RESOURCE_UNREF,
			  VIRTIO_GPU_RESP_ERR_UNSPEC);
	bos_free(fd, 4, 64 * KIB, PAGES);
	wait_until(fault_read("answered") == answered + 4);
	wait_for_rest();
	fault_set("answer_to", 0);
	assert_int_equal(held_bos(), 0);
	assert_int_equal(stat_of("rejected_refused"), refused + 4);
	close(fd);
	assert_counters_add_up();
}

#define test_fault(f) \
	cmocka_unit_test_setup_teardown(f, fresh_cache, no_fault)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_fault(no_memory_to_queue),
		test_fault(no_room_to_queue),
		test_fault(nothing_can_be_queued_for_a_while),
		test_fault(what_the_host_refused_does_not_come_back),
		test_fault(an_exhausted_host_gets_its_resources_back),
		test_fault(pages_it_did_not_let_go_of_stay_away),
	};

	return cmocka_run_group_tests(tests, load_module, unload_module);
}
