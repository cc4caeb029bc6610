// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An ioctl fuzzer for the driver with its cache. Several workers do random
 * things, allowed and not, to BOs that they share or have for themselves, while
 * somebody turns the cache's knobs and others are killed in the middle of it;
 * every worker knows what each BO must contain. With a kernel that can inject
 * faults, allocations fail as well.
 *
 * A worker's operations and their arguments are a function of the seed; what
 * they meet is as much a matter of chance as ever.
 */
#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xf86drm.h>

#define DEFAULT_OPS 6000
#define FAULTY_OPS 4000
#define SELF_TEST_OPS 300
#define MOST_SECONDS 120		/* of a run that is limited by ops */
#define SHMEM_NOISE_KIB 256

struct options options = { .workers = 4 };
struct device device;
struct shared *shared;

void wrong(const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fault_window(false);
	dprintf(STDOUT_FILENO, "# worker %u, operation %llu (%s): %s\n"
		"# seed %llu\n", me.id, (unsigned long long)me.op, me.doing,
		text, (unsigned long long)options.seed);
	shared->wrong++;
	shared->stop = true;
	_exit(1);
}

void tell(const char *format, ...)
{
	char text[256];
	va_list args;

	if (!options.verbose)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	dprintf(STDERR_FILENO, "worker %u, operation %llu: %s\n", me.id,
		(unsigned long long)me.op, text);
}

/* Workers */

struct role {
	unsigned int id;
	uint64_t stream, ops, end;
	int inbox;			/* -1: one that will be killed */
	int outbox[WORKERS];
	bool faults;
};

static void pick_operation(void)
{
	const struct operation *o = operations;
	uint32_t weights = 0, ticket;

	for (size_t i = 0; i < nr_operations; i++)
		weights += operations[i].weight;
	ticket = rnd(weights);
	while (ticket >= o->weight)
		ticket -= o++->weight;
	me.doing = o->name;
	tell("%s", o->name);
	o->act();
}

static bool get_param(int fd, uint64_t param, int *value)
{
	struct drm_virtgpu_getparam arg = {
		.param = param, .value = (uintptr_t)value
	};

	return !drmIoctl(fd, DRM_IOCTL_VIRTGPU_GETPARAM, &arg);
}

static uint64_t param_of(int fd, uint64_t param)
{
	int value = 0;

	return get_param(fd, param, &value) ? value : 0;
}

static void path_of(int fd, char *path, size_t size)
{
	char link[32];
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, size - 1);
	must(len > 0);
	path[len] = 0;
}

static void learn_device(void)
{
	enum { CONTEXT_INIT = 6, CAPSETS = 7, BO_CACHE = 10 };
	int card = card_open(), render = render_open();

	path_of(card, device.card_path, sizeof(device.card_path));
	path_of(render, device.render_path, sizeof(device.render_path));
	device.virgl = has_virgl();
	device.blob = has_blob();
	device.cache = has_cache();
	device.context_init = param_of(render, CONTEXT_INIT);
	device.madvise = get_param(render, BO_CACHE, &(int){ 0 });
	device.capsets = param_of(render, CAPSETS);
	device.draws = device.virgl && host_draws();
	close(card);
	close(render);
}

static void set_up_worker(struct role *role)
{
	me = (struct worker){
		.id = role->id, .stream = role->stream, .inbox = role->inbox,
		.outbox = role->outbox, .make_it_fail = -1,
		.doing = "starting",
	};
	me.random = mix(me.stream, UINT64_MAX);
	for (int i = 0; i < OBJECTS; i++)
		me.object[i].dmabuf = -1;
	for (int i = 0; i < FILES; i++)
		open_file(&me.file[i]);
	if (role->faults)
		me.make_it_fail = open("/proc/self/make-it-fail",
				       O_WRONLY | O_CLOEXEC);
	must(!role->faults || me.make_it_fail >= 0);
}

static void be_worker(void *arg)
{
	struct role *role = arg;
	uint64_t corrupt = options.self_test && !role->id ? role->ops / 2 : 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	set_up_worker(role);
	for (me.op = 1; !shared->stop && now_ms() < role->end; me.op++) {
		if (role->ops && me.op > role->ops)
			break;
		me.random = mix(me.stream, me.op);
		pick_operation();
		__atomic_add_fetch(&shared->operations, 1, __ATOMIC_RELAXED);
		if (corrupt && me.op >= corrupt)
			corrupt_model();
	}
	me.doing = "the end";
	check_all();
	drop_all();
	for (int i = 0; i < FILES; i++)
		close_file(&me.file[i]);
}

/* Knobs */

static bool may_turn_knobs(void)
{
	const char *enabled = getenv("VIRTGPU_TEST_ENABLED");

	return has_cache() && !(enabled && !strcmp(enabled, "0"));
}

struct knob {
	const char *name;
	const char *values[6];
};

static const struct knob knobs[] = {
	{ "timeout_ms", { "0", "1", "10", "50", "1000", "1000" } },
	{ "enabled", { "0", "1", "1", "1", "1", "1" } },
	{ "max_bytes", { "0", "65536", "1048576", "16777216", "67108864",
			 "67108864" } },
	{ "purge", { "1", "resource", "pages", "all", "1", "1" } },
};

static const struct knob no_knobs[] = {
	{ "timeout_ms", { "60001", "-1", "x", "", "4294967297", "1 2" } },
	{ "enabled", { "2", "-1", "x", "", "maybe", " " } },
	{ "max_bytes", { "-1", "x", "", "99999999999999999999", "9e9",
			 "1000000000000000" } },
	{ "purge", { "0", "2", "x", "everything", "-1", "ALL" } },
};

static void turn_knob(void)
{
	const struct knob *knob = &one_of(knobs);
	const char *value = one_of(knob->values);
	int err = try_knob_write(knob->name, value);

	if (err)
		wrong("%s to %s: %s", value, knob->name, strerror(-err));
}

/* Writing nothing does not even reach the file */
static void turn_wrong_knob(void)
{
	const struct knob *knob = &one_of(no_knobs);
	const char *value = one_of(knob->values);
	int err = try_knob_write(knob->name, value);

	if (*value && err != -EINVAL)
		wrong("%s to %s: %s", value, knob->name, strerror(-err));
}

static void shrink_some(void)
{
	char text[32];

	snprintf(text, sizeof(text), "%u", rnd(4096));
	if (try_shrink(text))
		wrong("%s pages can't be shrunk", text);
}

/* Only what the workqueues do: the guest has to stay alive */
static void let_works_fail(bool fail)
{
	DIR *dir = opendir("/proc");
	char path[300], comm[32];
	struct dirent *d;

	must(dir);
	while ((d = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/%s/comm", d->d_name);
		if (try_file_read(path, comm, sizeof(comm)) ||
		    strncmp(comm, "kworker/", 8))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/make-it-fail",
			 d->d_name);
		try_file_write(path, fail ? "1" : "0");
	}
	closedir(dir);
}

static void be_knob_turner(void *arg)
{
	const struct role *role = arg;
	bool turn = may_turn_knobs() && !options.no_knobs;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	me = (struct worker){
		.id = role->id, .stream = role->stream, .make_it_fail = -1,
		.doing = "knobs",
	};
	for (me.op = 1; !shared->stop; me.op++) {
		me.random = mix(me.stream, me.op);
		if (turn && !one_in(8))
			turn_knob();
		else if (turn && one_in(2))
			turn_wrong_knob();
		else if (has_cache())
			shrink_some();
		if (one_in(100))
			drop_caches("2");
		if (options.faults & FAULTS_WORKS && me.op % 64 == 1)
			let_works_fail(true);
		sleep_ms(rnd(40));
	}
	if (options.faults & FAULTS_WORKS)
		let_works_fail(false);
}

/* A run */

struct crew {
	struct role role[WORKERS + 2];
	struct client worker[WORKERS], knobs, victim;
	struct pollfd done[WORKERS];
	unsigned int left, victims;
	uint64_t kill_at;
};

static void make_boxes(struct crew *crew)
{
	int out[WORKERS];

	for (unsigned int i = 0; i < options.workers; i++) {
		int pair[2];

		must(!socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair));
		crew->role[i].inbox = pair[0];
		out[i] = pair[1];
	}
	for (unsigned int i = 0; i < options.workers; i++)
		memcpy(crew->role[i].outbox, out, sizeof(out));
}

static void close_boxes(struct crew *crew)
{
	for (unsigned int i = 0; i < options.workers; i++) {
		close(crew->role[i].inbox);
		close(crew->role[0].outbox[i]);
	}
}

/* Killed in the middle, and the next one starts */
static void start_victim(struct crew *crew)
{
	struct role *role = &crew->role[WORKERS];
	uint64_t random = mix(options.seed, 1000 + crew->victims);

	*role = (struct role){
		.id = WORKERS + crew->victims % (15 - WORKERS),
		.stream = random, .end = UINT64_MAX, .inbox = -1,
		.faults = crew->role[0].faults,
	};
	crew->victim = client_start(be_worker, role);
	crew->victims++;
	crew->kill_at = now_ms() + 100 + random % 2000;
}

static void start_crew(struct crew *crew, uint64_t ops, unsigned int seconds)
{
	bool faults = options.faults & FAULTS_CLIENTS;

	make_boxes(crew);
	crew->left = options.workers;
	for (unsigned int i = 0; i < options.workers; i++) {
		struct role *role = &crew->role[i];

		role->id = i;
		role->stream = mix(options.seed, i);
		role->ops = ops;
		role->end = now_ms() + seconds * 1000ull;
		role->faults = faults;
		crew->worker[i] = client_start(be_worker, role);
		crew->done[i] = (struct pollfd){
			.fd = crew->worker[i].ready, .events = POLLIN
		};
	}
	crew->role[WORKERS + 1] = (struct role){
		.id = 15, .stream = mix(options.seed, 15)
	};
	crew->knobs = client_start(be_knob_turner, &crew->role[WORKERS + 1]);
	start_victim(crew);
}

/* A worker that is ready has a byte for us, one that failed does not */
static void look_at(struct crew *crew, unsigned int i)
{
	char byte;

	if (!crew->done[i].revents)
		return;
	if (read(crew->done[i].fd, &byte, 1) != 1)
		shared->stop = true;
	crew->done[i].fd = -1;
	crew->left--;
}

static void watch_crew(struct crew *crew)
{
	while (crew->left && !shared->stop) {
		poll(crew->done, options.workers, 20);
		for (unsigned int i = 0; i < options.workers; i++)
			look_at(crew, i);
		if (now_ms() < crew->kill_at)
			continue;
		client_kill(&crew->victim);
		start_victim(crew);
	}
}

/* Returns whether all of them were content */
static bool end_client(struct client *c)
{
	int status;

	must(write(c->leave, "", 1) == 1 || errno == EPIPE);
	must(waitpid(c->pid, &status, 0) == c->pid);
	close(c->leave);
	close(c->ready);
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

static bool end_crew(struct crew *crew)
{
	bool good = true;

	client_kill(&crew->victim);
	for (unsigned int i = 0; i < options.workers; i++)
		good &= end_client(&crew->worker[i]);
	shared->stop = true;
	good &= end_client(&crew->knobs);
	close_boxes(crew);
	return good;
}

static void say_what_was_done(const struct crew *crew, uint64_t ms)
{
	printf("# %llu operations in %llu s, %llu refused, %llu without "
	       "memory, %u workers killed\n",
	       (unsigned long long)shared->operations,
	       (unsigned long long)ms / 1000,
	       (unsigned long long)shared->refused,
	       (unsigned long long)shared->starved, crew->victims);
}

static bool fuzz(uint64_t ops, unsigned int faults)
{
	unsigned int seconds = options.seconds ? options.seconds : MOST_SECONDS;
	uint64_t start = now_ms();
	struct crew crew = { 0 };
	bool good;

	/* It may take longer than other tests, but not for ever */
	alarm(seconds + 280);
	signal(SIGPIPE, SIG_IGN);
	options.faults = faults;
	if (options.ops && !options.self_test)
		ops = options.ops;
	else if (options.seconds && !options.self_test)
		ops = 0;
	memset(shared, 0, sizeof(*shared));
	if (faults)
		switch_faults(true);
	start_crew(&crew, ops, seconds);
	watch_crew(&crew);
	good = end_crew(&crew);
	if (faults)
		switch_faults(false);
	say_what_was_done(&crew, now_ms() - start);
	return good && !shared->wrong;
}

/* Tests */

static uint64_t shmem_at_start;
static unsigned int faults_wanted = FAULTS_CLIENTS | FAULTS_WORKS;

static int measure_start(void **state)
{
	fresh_cache(state);
	learn_device();
	drop_caches("2");
	shmem_at_start = shmem_kib();
	return 0;
}

/* Catches: content that is not the BO's, an ioctl that answers wrongly */
static void random_operations(void **state)
{
	(void)state;
	assert_true(fuzz(DEFAULT_OPS, 0));
	assert_true(shared->refused > 0);
}

/* Catches: what is not undone when only half of it could be done */
static void random_operations_with_faults(void **state)
{
	(void)state;
	if (!has_faults()) {
		printf("# this kernel can't inject faults\n");
		skip();
	}
	if (!has_cache()) {
		printf("# the stock driver loses commands without memory\n");
		skip();
	}
	assert_true(fuzz(FAULTY_OPS, faults_wanted));
	if (faults_wanted & FAULTS_CLIENTS)
		assert_true(shared->starved > 0);
}

/* The control: with one bit wrong in a model, all fails */
static void a_wrong_bit_is_noticed(void **state)
{
	bool good;

	(void)state;
	options.self_test = true;
	good = fuzz(SELF_TEST_OPS, 0);
	options.self_test = false;
	assert_false(good);
	assert_true(shared->mismatches > 0);
}

/* Catches: what is lost, in the cache or on its way */
static void everything_is_given_back(void **state)
{
	(void)state;
	if (may_turn_knobs()) {
		knob_write("purge", 1);
		assert_counters_add_up();
		wait_until(!held_bos() && !stat_of("release_bos"));
		assert_int_equal(held_bytes(), 0);
		assert_int_equal(stat_of("release_bytes"), 0);
	}
	wait_for_rest();
	drop_caches("2");
	wait_until(shmem_kib() <= shmem_at_start + SHMEM_NOISE_KIB);
}

/* Options */

static const char usage[] =
"usage: fuzz [OPTION...]\n"
"Do random things to the driver and see whether it gets them right.\n\n"
"  --seed N       repeat what was done with this seed (default: a random one)\n"
"  --ops N        so many operations of each worker\n"
"  --seconds N    so long (VIRTGPU_FUZZ_SECONDS in the environment: the same)\n"
"  --workers N    so many at a time, 1 to 8 (default: 4)\n"
"  --faults[=WHO] let allocations fail: of clients, works, or all (default)\n"
"  --no-knobs     leave the cache's knobs alone\n"
"  --self-test    falsify what is expected, which must be noticed\n"
"  --verbose      say every operation on stderr\n"
"  --help\n\n"
"Without options: some of all of that. Exit status: 0 all well, 1 something\n"
"is wrong, 2 wrong usage.\n";

static uint64_t number(const char *text, uint64_t min, uint64_t max)
{
	char *end;
	uint64_t n;

	errno = 0;
	n = strtoull(text, &end, 0);
	if (errno || *end || end == text || *text == '-' || n < min ||
	    n > max) {
		fprintf(stderr, "fuzz: not a number from %llu to %llu: %s\n",
			(unsigned long long)min, (unsigned long long)max, text);
		exit(2);
	}
	return n;
}

static unsigned int faults_of(const char *who)
{
	if (!who || !strcmp(who, "all"))
		return FAULTS_CLIENTS | FAULTS_WORKS;
	if (!strcmp(who, "clients"))
		return FAULTS_CLIENTS;
	if (!strcmp(who, "works"))
		return FAULTS_WORKS;
	fprintf(stderr, "fuzz: whose faults? %s\n", who);
	exit(2);
}

static void take_option(int c)
{
	switch (c) {
	case 's':
		options.seed = number(optarg, 0, UINT64_MAX);
		break;
	case 'o':
		options.ops = number(optarg, 1, UINT64_MAX);
		break;
	case 't':
		options.seconds = number(optarg, 1, 1000000);
		break;
	case 'w':
		options.workers = number(optarg, 1, WORKERS);
		break;
	case 'f':
		options.faults = faults_wanted = faults_of(optarg);
		break;
	case 'k':
		options.no_knobs = true;
		break;
	case 'x':
		options.self_test = true;
		break;
	case 'v':
		options.verbose = true;
		break;
	case 'h':
		fputs(usage, stdout);
		exit(0);
	default:
		fputs("Try fuzz --help\n", stderr);
		exit(2);
	}
}

/* Returns whether any was given */
static bool take_options(int argc, char **argv)
{
	static const struct option names[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "ops", required_argument, NULL, 'o' },
		{ "seconds", required_argument, NULL, 't' },
		{ "workers", required_argument, NULL, 'w' },
		{ "faults", optional_argument, NULL, 'f' },
		{ "no-knobs", no_argument, NULL, 'k' },
		{ "self-test", no_argument, NULL, 'x' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int c;

	must(getrandom(&options.seed, sizeof(options.seed), 0) ==
	     sizeof(options.seed));
	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1)
		take_option(c);
	if (optind < argc) {
		fprintf(stderr, "fuzz: what is %s?\n", argv[optind]);
		exit(2);
	}
	return argc > 1;
}

static int run_chosen(void)
{
	const struct CMUnitTest plain = test(random_operations),
		faulty = test(random_operations_with_faults),
		falsified = test(a_wrong_bit_is_noticed);
	const struct CMUnitTest tests[] = {
		options.self_test ? falsified :
		options.faults ? faulty : plain,
		test(everything_is_given_back),
	};

	return cmocka_run_group_tests(tests, measure_start, cache_stays_empty);
}

static int run_all(void)
{
	const struct CMUnitTest tests[] = {
		test(random_operations),
		test(random_operations_with_faults),
		test(a_wrong_bit_is_noticed),
		test(everything_is_given_back),
	};
	const char *seconds = getenv("VIRTGPU_FUZZ_SECONDS");

	if (seconds)
		options.seconds = number(seconds, 1, 1000000);
	return cmocka_run_group_tests(tests, measure_start, cache_stays_empty);
}

int main(int argc, char **argv)
{
	bool chosen = take_options(argc, argv);

	cmocka_set_message_output(CM_OUTPUT_TAP);
	printf("# seed %llu\n", (unsigned long long)options.seed);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(shared != MAP_FAILED);
	memset(shared, 0, sizeof(*shared));	/* it is shmem, too */
	return !!(chosen ? run_chosen() : run_all());
}
