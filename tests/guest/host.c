// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A host that refuses, is slow, answers in another order, forgets or dies, at
 * each point of a BO's life. It is the simulated one (tests/module), which sees
 * the guest's memory from inside and says when the driver breaks a rule: names
 * what is not alive, or lets go of pages that the host still has.
 */
#include "virtgpu.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <drm.h>
#include <xf86drm.h>

#define HOST "/sys/kernel/debug/virtgpu_host/"
#define DRIVER "/sys/bus/virtio/drivers/virtio_gpu/"
#define ALL_FEATURES "virgl blob uuid context"
#define SHMEM_NOISE_KIB 256

/* Longer than the driver waits for a host that does not answer */
#define UNBIND_MS 20000

/* The host */

static void host_write(const char *file, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), HOST "%s", file);
	must(!try_file_write(path, text));
}

static void host_read(const char *file, char *text, size_t size)
{
	char path[128];

	snprintf(path, sizeof(path), HOST "%s", file);
	must(!try_file_read(path, text, size));
}

/* The number that follows KEY, which begins a line */
static uint64_t host_number(const char *file, const char *key, const char *field)
{
	char text[16384] = "\n", line[96], *p;

	host_read(file, text + 1, sizeof(text) - 1);
	snprintf(line, sizeof(line), "\n%s ", key);
	p = strstr(text, line);
	must(p);
	if (field) {
		p = strstr(p + 1, field);
		must(p);
		return strtoull(p + strlen(field), NULL, 10);
	}
	return strtoull(p + strlen(line), NULL, 10);
}

static uint64_t host_stat(const char *name)
{
	return host_number("stats", name, NULL);
}

/* How many commands a rule has been applied to */
static uint64_t host_hits(const char *verb, const char *type)
{
	char key[64];

	snprintf(key, sizeof(key), "%s %s", verb, type);
	return host_number("faults", key, " hit ");
}

__attribute__((format(printf, 1, 2)))
static void order(const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	host_write("faults", text);
}

static void assert_no_violation(void)
{
	char text[16384];

	if (!host_stat("violations"))
		return;
	host_read("violations", text, sizeof(text));
	fail_msg("violations: %s", text);
}

/* Nothing on its way in either direction */
static void wait_for_host(void)
{
	uint64_t answers;

	do {
		answers = host_stat("answers");
		sleep_ms(30);
	} while (host_stat("waiting") || host_stat("answers") != answers);
}

static void use_device(const char *features)
{
	host_write("remove", "1");
	host_write("features", features);
	host_write("add", "1");
	must(has_cache());
}

/* What must be as it was once all is done */
struct state {
	uint64_t alive, contexts, shmem;
};

static struct state state_now(void)
{
	wait_for_host();
	return (struct state){
		.alive = host_stat("alive"),
		.contexts = host_stat("contexts"),
		.shmem = shmem_kib(),
	};
}

static void assert_back_at(const struct state *before)
{
	wait_until(!held_bos() && !stat_of("release_bos"));
	wait_for_host();
	assert_no_violation();
	assert_int_equal(host_stat("alive"), before->alive);
	assert_int_equal(host_stat("contexts"), before->contexts);
	assert_int_equal(host_stat("absent"), 0);
	wait_until(shmem_kib() <= before->shmem + SHMEM_NOISE_KIB);
}

/* Clients */

/* Never used before, so that it can be told whose it is */
static uint32_t new_word(void)
{
	static uint32_t n;

	return (uint32_t)now_us() << 10 ^ (uint32_t)getpid() << 4 ^ ++n << 1 ^ 1;
}

struct workload {
	bool refused;		/* the host need not have done anything */
	bool quiet;		/* this may fail, and nobody wants to hear it */
};

static void use_content(struct bo *bo, const struct workload *work)
{
	uint32_t word = new_word();

	must(bo_find_other(bo, 0) == -1);
	bo_fill(bo, word);
	bo_to_host(bo);
	bo_wait(bo);
	bo_fill(bo, ~word);
	bo_from_host(bo);
	bo_wait(bo);
	must(work->refused || bo_find_other(bo, word) == -1);
}

/* BOs of all kinds that the device has, some of them shared */
static void use_bos(int fd, const struct workload *work, bool share)
{
	struct bo bo[4];
	int n = 0, used;

	if (has_virgl()) {
		bo[n++] = bo_create(fd, buffer(16 * KIB));
		bo[n++] = bo_create(fd, texture(64, 64, BIND_SAMPLER_VIEW));
		for (int i = 0; i < n; i++)
			use_content(&bo[i], work);
		gpu_copy(fd, bo[0].res, bo[1].res, 1, 1);
	}
	used = n;
	bo[n++] = bo_dumb(fd, 64, 64);
	if (has_blob())
		bo[n++] = bo_blob(fd, 16 * KIB);
	for (int i = 0; i < n; i++) {
		if (share)
			close(bo_export(&bo[i]));
		bo_wait(&bo[i]);
		must(i < used || bo_find_other(&bo[i], 0) == -1);
		bo_fill(&bo[i], new_word());
		bo_close(&bo[i]);
	}
}

static void be_client(void *arg)
{
	const struct workload *work = arg;

	if (work->quiet)
		must(freopen("/dev/null", "w", stderr));
	for (int i = 0; i < 4; i++) {
		int fd = card_open();

		use_bos(fd, work, false);
		use_bos(fd, work, i & 1);
		close(fd);
	}
}

static const struct workload plain, careless = { .refused = true },
	doomed = { .refused = true, .quiet = true };

static void run_client(const struct workload *work)
{
	assert_int_equal(client_run(be_client, (void *)work), 0);
}

/* At each point of a BO's life */
static const char *const points[] = {
	"ctx_create", "create_3d", "create_2d", "create_blob",
	"attach_backing", "ctx_attach", "transfer_to_3d", "transfer_from_3d",
	"submit_3d", "assign_uuid", "ctx_detach", "unref", "ctx_destroy",
};

static void at_each_point(void (*check)(const char *point))
{
	for (size_t i = 0; i < ARRAY_SIZE(points); i++) {
		struct state before = state_now();

		alarm(280);
		order("check_content 1\nscribble 1");
		check(points[i]);
		order("clear");
		assert_back_at(&before);
	}
	assert_counters_add_up();
}

static void refused_with(const char *point, const char *nth, const char *error)
{
	order("refuse %s %s %s", point, nth, error);
	run_client(&careless);
	assert_true(host_hits("refuse", point) > 0);	/* the control */
	wait_until(!held_bos() && !stat_of("release_bos"));
	wait_for_host();
	if (strcmp(point, "unref"))
		assert_int_equal(host_stat("kept"), 0);
	else
		assert_true(host_stat("kept") > 0);
}

static void all_unspec(const char *point)
{
	refused_with(point, "0", "unspec");
}

static void all_out_of_memory(const char *point)
{
	refused_with(point, "0", "out_of_memory");
}

static void third_unspec(const char *point)
{
	refused_with(point, "3", "unspec");
}

/*
 * Catches: a resource that the host does not have used as if it had, or lost;
 * pages handed on that it did not let go of
 */
static void refused(void **state)
{
	(void)state;
	at_each_point(all_unspec);
}

static void refused_for_memory(void **state)
{
	(void)state;
	at_each_point(all_out_of_memory);
}

static void refused_once(void **state)
{
	(void)state;
	at_each_point(third_unspec);
}

static void delay_one(const char *point)
{
	order("delay %s 15", point);
	run_client(&plain);
	assert_true(host_hits("delay", point) > 0);
}

/* Catches: who goes on before the answer is there */
static void delayed(void **state)
{
	(void)state;
	at_each_point(delay_one);
}

static void hold_one(const char *point)
{
	struct client c;

	order("hold %s 2", point);
	c = client_start(be_client, (void *)&plain);
	wait_until(host_stat("held") > 0);
	sleep_ms(200);				/* longer than the cache keeps */
	order("release");
	client_exit(&c);
}

static void held_back(void **state)
{
	(void)state;
	at_each_point(hold_one);
}

static void mix_up(const char *point)
{
	order("reorder 1\ndelay %s 10", point);
	run_client(&plain);
	assert_true(host_hits("delay", point) > 0);
}

/* Catches: who takes one answer for another, or for all before it */
static void mixed_up(void **state)
{
	(void)state;
	at_each_point(mix_up);
}

static void pause_at(const char *point)
{
	struct client c;

	order("die %s 3", point);
	c = client_start(be_client, (void *)&plain);
	wait_until(host_stat("dead"));
	sleep_ms(200);
	order("clear");
	client_exit(&c);
}

/* Catches: who gives up, or asks twice */
static void silent_for_a_while(void **state)
{
	(void)state;
	at_each_point(pause_at);
}

/* The driver lets the device go, and takes it again */

static void device_name(char *name, size_t size)
{
	glob_t g;

	must(!glob(DRIVER "virtio*", 0, NULL, &g));
	snprintf(name, size, "%s", strrchr(g.gl_pathv[0], '/') + 1);
	globfree(&g);
}

/* Returns how long that took, in ms */
static uint64_t unbind(char *name, size_t size)
{
	uint64_t start = now_ms();

	device_name(name, size);
	must(!try_file_write(DRIVER "unbind", name));
	return now_ms() - start;
}

static void bind(const char *name)
{
	must(!try_file_write(DRIVER "bind", name));
	must(has_cache());
}

/* The framebuffer console, which draws when it likes to */
static void console_lets_go(void)
{
	glob_t g;

	if (glob("/sys/class/vtconsole/vtcon*/bind", 0, NULL, &g))
		return;
	for (size_t i = 0; i < g.gl_pathc; i++)
		try_file_write(g.gl_pathv[i], "0");
	globfree(&g);
	wait_for_host();
}

/*
 * How many BOs are freed under the host when there is neither client nor cache:
 * the console's, which the stock driver frees between unplug and reset
 */
static uint64_t lost_anyway(void)
{
	char name[32];
	uint64_t lost;

	console_lets_go();
	knob_write("enabled", 0);
	unbind(name, sizeof(name));
	lost = host_stat("reset_lost");
	bind(name);
	return lost;
}

struct end {
	uint64_t ms;			/* to unbind */
	uint64_t lost;			/* BOs freed under the host */
};

/* The host dies under a client; unbinding resets the device */
static struct end die_at(const char *point, bool enabled)
{
	char name[32];
	struct client c;
	struct end end;

	console_lets_go();
	knob_write("enabled", enabled);
	knob_write("timeout_ms", 100);
	order("die %s 3", point);
	c = client_start(be_client, (void *)&doomed);
	wait_until(host_stat("dead"));
	sleep_ms(200);
	/* What it frees before the reset would be its own doing */
	client_stop(&c);
	end.ms = unbind(name, sizeof(name));
	end.lost = host_stat("reset_lost");
	client_kill(&c);
	order("clear");
	bind(name);
	run_client(&plain);
	return end;
}

/*
 * Catches: a driver that waits for ever, or that lets go of its cache's pages
 * while the host can still write to them. With the cache off it does no worse
 * than the stock driver; that is the yardstick.
 */
static void a_dead_host_is_survived(void **state)
{
	uint64_t lost = lost_anyway();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(points); i++) {
		struct end off, on;

		alarm(280);
		off = die_at(points[i], false);
		on = die_at(points[i], true);
		printf("# %s: unbound in %llu ms, with the cache off in %llu\n",
		       points[i], (unsigned long long)on.ms,
		       (unsigned long long)off.ms);
		assert_true(on.ms < off.ms + UNBIND_MS);
		assert_true(off.lost <= lost);
		assert_true(on.lost <= lost);
		assert_no_violation();
	}
}

/* Has the device reset under a full cache, after ORDERS */
static uint64_t lost_at_reset(const char *orders)
{
	int fd = card_open();
	uint64_t lost;
	char name[32];

	console_lets_go();
	knob_write("timeout_ms", 60000);
	bos_free(fd, 32, 64 * KIB, BOTH);
	wait_until(held_bos() == 32);
	wait_for_host();
	order("%s", orders);
	unbind(name, sizeof(name));
	lost = host_stat("reset_lost");
	close(fd);
	bind(name);
	return lost;
}

/*
 * What the host has at the reset, its driver still has: the cache gave back all
 * of its own before. What comes later finds none of it in use.
 */
static void a_forgotten_reset_does_no_harm(void **state)
{
	uint64_t alive = host_stat("alive"), lost = lost_anyway();

	(void)state;
	assert_true(lost_at_reset("forget_reset 1") <= lost);
	assert_true(host_stat("reset_alive") <= alive);
	assert_int_equal(host_stat("reset_waiting"), 0);
	run_client(&plain);
	assert_no_violation();
}

/* Catches: a drain that takes a missing answer for one */
static void lost_answers_cost_no_page(void **state)
{
	uint64_t lost = lost_anyway();

	(void)state;
	assert_true(lost_at_reset("hold unref 0") <= lost);
	order("clear");
	run_client(&plain);
	assert_no_violation();
}

/* What the host has refused does not come back */

static bool comes_back(const char *type, const char *error, bool late)
{
	int fd = render_open();
	struct bo bo;
	uint32_t res;
	bool kept, same = false;

	if (type)
		order("refuse %s 1 %s", type, error);
	if (type && late)
		order("hold %s 1", type);
	bo = bo_create(fd, buffer(64 * KIB));
	res = bo.res;
	/* Nothing refers to a BO meanwhile, so it is kept until the answer comes */
	kept = type && late && !strcmp(type, "attach_backing");
	if (kept)
		bo_wait(&bo);
	else if (!late)
		wait_for_host();
	bo_close(&bo);
	if (kept)
		wait_until(stat_of("held_resource_bos") == 1);
	order("release");
	wait_for_host();
	sleep_ms(50);				/* and the driver has seen it */
	if (type)
		assert_int_equal(host_hits("refuse", type), 1);
	for (int i = 0; i < 4; i++) {
		bo = bo_create(fd, buffer(64 * KIB));
		same |= bo.res == res;
	}
	order("clear");
	close(fd);
	knob_write("purge", 1);
	return same;
}

static void what_was_refused_does_not_come_back(void **state)
{
	static const char *const types[] = {
		"create_3d", "attach_backing", "ctx_attach",
	};
	static const char *const errors[] = { "unspec", "out_of_memory" };

	(void)state;
	knob_write("timeout_ms", 60000);
	assert_true(comes_back(NULL, NULL, false));	/* the control */
	for (size_t i = 0; i < 4 * ARRAY_SIZE(types); i++)
		if (comes_back(types[i / 4], errors[i / 2 % 2], i & 1))
			fail_msg("refused %s with %s came back, %s",
				 types[i / 4], errors[i / 2 % 2],
				 i & 1 ? "late" : "in time");
	assert_true(comes_back(NULL, NULL, true));
	assert_no_violation();
	assert_counters_add_up();
}

/* Sharing: the host gives the resource a UUID, by which others find it */

static void a_uuid_is_for_ever(void **state)
{
	uint64_t uuids = host_stat("assign_uuid"), hits;
	int fd = render_open(), dmabuf;
	struct bo bo;
	uint32_t res;

	(void)state;
	knob_write("timeout_ms", 60000);
	hits = stat_of("hits_pages");
	bo = bo_create(fd, buffer(64 * KIB));
	res = bo.res;
	dmabuf = bo_export(&bo);
	wait_for_host();
	assert_int_equal(host_stat("assign_uuid"), uuids + 1);
	close(dmabuf);
	order("hold unref 1");
	bo_close(&bo);
	wait_until(host_stat("held") == 1);
	/* Neither the resource, nor the pages while the host has them */
	bo = bo_create(fd, buffer(64 * KIB));
	assert_int_not_equal(bo.res, res);
	assert_int_equal(stat_of("hits_pages"), hits);
	assert_int_equal(stat_of("held_pages_bos"), 0);
	bo_close(&bo);
	order("release");
	wait_until(stat_of("held_pages_bos") == 1);
	knob_write("purge", 1);
	bo = bo_create(fd, buffer(64 * KIB));
	assert_int_not_equal(bo.res, res);
	bo_close(&bo);
	close(fd);
	assert_no_violation();
}

/* Catches: pages that are handed on before the host has answered */
static void pages_wait_for_the_answer(void **state)
{
	int fd = card_open(), other = card_open();
	uint64_t hits = stat_of("hits_pages");
	struct bo bo[8];

	(void)state;
	knob_write("timeout_ms", 60000);
	order("check_content 1\nscribble 1\nhold unref 0");
	for (size_t i = 0; i < ARRAY_SIZE(bo); i++) {
		bo[i] = bo_dumb(fd, 64, 64);
		bo_fill(&bo[i], new_word());
		close(bo_export(&bo[i]));
		bo_close(&bo[i]);
	}
	wait_until(host_stat("held") == ARRAY_SIZE(bo));
	bo[0] = bo_dumb(other, 64, 64);
	assert_int_equal(stat_of("hits_pages"), hits);
	order("release");
	wait_until(stat_of("held_pages_bos") == ARRAY_SIZE(bo));
	bo[1] = bo_dumb(other, 64, 64);
	assert_int_equal(stat_of("hits_pages"), hits + 1);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(bo_find_other(&bo[i], 0), -1);
		bo_close(&bo[i]);
	}
	close(other);
	close(fd);
	wait_for_host();
	assert_no_violation();
	assert_counters_add_up();
}

/* Many at once */

#define CLIENTS 4
#define CHURN_MS 10000

static void churn(void *arg)
{
	client_churn((uintptr_t)arg, now_ms() + CHURN_MS);
}

static void clients_break_no_rule(void **state)
{
	struct state before = state_now();
	struct client c[CLIENTS];

	(void)state;
	order("reorder 1\nscribble 1\ncheck_content 1\n"
	      "refuse create_3d 50 out_of_memory\nrefuse unref 100 unspec");
	for (uintptr_t i = 0; i < CLIENTS; i++)
		c[i] = client_start(churn, (void *)(i + 1));
	for (int i = 0; i < CLIENTS; i++)
		client_exit(&c[i]);
	order("clear");
	assert_back_at(&before);
	assert_counters_add_up();
}

/* Other devices */

static void on_device(const char *features, const char *const *types)
{
	struct state before;

	use_device(features);
	knob_write("timeout_ms", 100);
	before = state_now();
	for (; *types; types++) {
		order("check_content 1\nscribble 1\nreorder 1");
		third_unspec(*types);
		order("clear");
		assert_back_at(&before);
		delay_one(*types);
		hold_one(*types);
		order("clear");
		assert_back_at(&before);
	}
	assert_counters_add_up();
}

static void in_2d(void **state)
{
	static const char *const types[] = {
		"create_2d", "attach_backing", "unref", NULL
	};

	(void)state;
	on_device("2d", types);
}

/* Dumb buffers are blobs then */
static void in_2d_with_blobs(void **state)
{
	static const char *const types[] = { "create_blob", "unref", NULL };

	(void)state;
	on_device("blob", types);
}

/* Without context init a file has its context when it first needs one */
static void with_early_contexts(void **state)
{
	static const char *const types[] = {
		"ctx_create", "create_3d", "ctx_attach", "ctx_detach", "unref",
		NULL
	};

	(void)state;
	on_device("virgl", types);
}

/* The controls */

static void the_host_sees_violations(void **state)
{
	char text[16384], *line, *rest = text;
	int ok = 0;

	(void)state;
	host_read("selftest", text, sizeof(text));
	while ((line = strsep(&rest, "\n"))) {
		if (!strncmp(line, "not ok ", 7))
			fail_msg("%s", line);
		ok += !strncmp(line, "ok ", 3);
	}
	printf("# %d cases\n", ok);
	assert_true(ok >= 30);
	assert_no_violation();		/* they were another host's */
}

static void bad_orders_change_nothing(void **state)
{
	static const char *const bad[] = {
		"refuse", "refuse unref 1", "refuse unref 1 nonsense",
		"refuse nonsense 1 unspec", "refuse unref -1 unspec",
		"refuse unref 1 unspec 1", "delay unref", "delay unref 60001",
		"hold unref x", "reorder 2", "scribble", "release 1",
		"forget_reset yes", "nonsense", "reorder 1\nnonsense",
		"die unref 4294967296",
	};
	char before[1024], after[1024];

	(void)state;
	order("delay unref 5\nreorder 1\nreorder 0");
	host_read("faults", before, sizeof(before));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (try_file_write(HOST "faults", bad[i]) != -EINVAL)
			fail_msg("taken: %s", bad[i]);
		host_read("faults", after, sizeof(after));
		assert_string_equal(after, before);
	}
	assert_int_equal(try_file_write(HOST "features", "virgl x"), -EINVAL);
	assert_int_equal(try_file_write(HOST "add", "1"), -EEXIST);
}

static int fresh_host(void **state)
{
	order("clear");
	if (fresh_cache(state))
		return -1;
	knob_write("timeout_ms", 100);
	return 0;
}

static int clear_host(void **state)
{
	(void)state;
	order("clear");
	return 0;
}

static int back_to_all(void **state)
{
	clear_host(state);
	use_device(ALL_FEATURES);
	return 0;
}

static char features_before[64];

static int take_host(void **state)
{
	(void)state;
	if (access(HOST, F_OK)) {
		fprintf(stderr, "# no simulated host\n");
		return -1;
	}
	host_read("features", features_before, sizeof(features_before));
	use_device(ALL_FEATURES);
	return 0;
}

static int leave_host(void **state)
{
	cache_stays_empty(state);
	use_device(features_before);
	return 0;
}

#define test_host(f) \
	cmocka_unit_test_setup_teardown(f, fresh_host, clear_host)
#define test_other(f) \
	cmocka_unit_test_setup_teardown(f, fresh_host, back_to_all)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_host(the_host_sees_violations),
		test_host(bad_orders_change_nothing),
		test_host(refused),
		test_host(refused_for_memory),
		test_host(refused_once),
		test_host(what_was_refused_does_not_come_back),
		test_host(delayed),
		test_host(held_back),
		test_host(mixed_up),
		test_host(silent_for_a_while),
		test_host(a_uuid_is_for_ever),
		test_host(pages_wait_for_the_answer),
		test_host(clients_break_no_rule),
		test_other(in_2d),
		test_other(in_2d_with_blobs),
		test_other(with_early_contexts),
		test_host(a_forgotten_reset_does_no_harm),
		test_host(lost_answers_cost_no_page),
		test_host(a_dead_host_is_survived),
	};

	return cmocka_run_group_tests(tests, take_host, leave_host);
}
