// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A fuzz target for all that virtgpu-cachectl reads: arguments, sysfs, debugfs,
 * fdinfo, traces, what guests answer.  It is linked with the program's own files, whose main() is
 * called cachectl_main() there.
 *
 * The first byte says what the rest is.  FUZZ_TREE is a folder for files; the
 * program is told that it is the root, first of all, so that no argument leads
 * out of there.
 */
#include <assert.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent.h"
#include "buckets.h"
#include "clients.h"
#include "files.h"
#include "model.h"
#include "tally.h"
#include "units.h"

#define DEVICE "/sys/bus/virtio/drivers/virtio_gpu/virtio0"
#define WORDS 16

/* What the sanitizers end a process with, by their options */
#define SANITIZER_STATUS 99

int cachectl_main(int argc, char **argv);

static const char *tree(void)
{
	const char *path = getenv("FUZZ_TREE");

	assert(path);
	return path;
}

/* What is printed with a unit can be read again, and means about the same */
static void fuzz_quantity(const char *text)
{
	static const enum unit units[] = {
		UNIT_NONE, UNIT_SWITCH, UNIT_BYTES, UNIT_MS, UNIT_INTERVAL
	};
	uint64_t value, again;
	char *printed;

	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (unit_parse(units[i], text, &value))
			continue;
		printed = unit_format(units[i], value, true);
		assert(number_parse(printed, &again) && again == value);
		free(printed);
		printed = unit_format(units[i], value, false);
		/* No unit is above T to read */
		if (units[i] != UNIT_INTERVAL && !strpbrk(printed, "PE")) {
			assert(!unit_parse(units[i], printed, &again));
			assert(units[i] == UNIT_BYTES ?
			       again >= value - value / 8 &&
			       again <= value + value / 8 + 1 : again == value);
		}
		free(printed);
	}
	number_parse(text, &value);
}

static void fuzz_bucket(const char *text)
{
	struct bucket bucket;

	bucket_parse(text, &bucket);
}

static void fuzz_fdinfo(const char *text)
{
	FILE *file = fmemopen((char *)text, strlen(text), "r");
	struct usage usage;

	if (!file)
		return;
	usage_parse(file, &usage);
	fclose(file);
}

/* What would not end, asks this machine, or writes out of the tree */
static bool is_barred(const char *word)
{
	return !strcmp(word, "stat") || !strcmp(word, "top") ||
	       !strcmp(word, "doctor") || !strcmp(word, "host") || !strncmp(word, "--s", 3) ||
	       !strncmp(word, "--ht", 4);
}

/* Words are separated by newlines */
static void fuzz_arguments(const char *text)
{
	char *argv[WORDS + 4] = { "cachectl", "--sysroot", (char *)tree() };
	char *copied = strdup(text), *rest = copied, *word;
	bool barred = false;
	int argc = 3;

	assert(copied);
	while (argc < WORDS + 3 && (word = strsep(&rest, "\n"))) {
		barred |= is_barred(word);
		argv[argc++] = word;
	}
	/* getopt_long() begins anew */
	optind = 0;
	if (!barred)
		cachectl_main(argc, argv);
	free(copied);
}

static void fuzz_file(const char *name, const char *text)
{
	static const char *const commands[] = {
		"--output-all\n--json", "show", "metrics",
		"set\n--persist\nmax_bytes=1M", "reset",
	};
	char *before;

	assert(!root_set(tree()));
	assert(!file_read(name, &before));
	assert(!file_write(name, text));
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fuzz_arguments(commands[i]);
	/* As it was, for the next */
	assert(!root_set(tree()));
	assert(!file_write(name, before));
	root_close();
	free(before);
}

/*
 * The child that reads a trace dies as any other would: the fuzzer's handlers
 * would take that for the end of its target.
 */
static void die_plainly(void)
{
	static const int signals[] = {
		SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT
	};

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		signal(signals[i], SIG_DFL);
}

static void fuzz_trace(const uint8_t *data, size_t size)
{
	static const char *const commands[] = { "report", "advise" };
	static bool registered;
	char path[4096];
	FILE *file;

	if (!registered)
		assert(!pthread_atfork(NULL, NULL, die_plainly));
	registered = true;
	assert(snprintf(path, sizeof(path), "%s/trace.dat", tree()) <
	       (int)sizeof(path));
	file = fopen(path, "w");
	assert(file && fwrite(data, 1, size, file) == size && !fclose(file));
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		char *argv[] = { "cachectl", (char *)commands[i], path, NULL };

		optind = 0;
		assert(cachectl_main(3, argv) != SANITIZER_STATUS);
	}
}

/* A few bytes are an event; few values, so that they have to do with others */
static struct trace_event make_event(const uint8_t *byte, uint64_t *ns)
{
	*ns += (uint64_t)byte[1] << (byte[2] & 31);
	return (struct trace_event) {
		.kind = byte[0] % TRACE_KINDS, .ns = *ns, .pid = byte[3] & 7,
		.owner = byte[3] >> 5, .cgroup = byte[4] & 1,
		.size = byte[4] & 2 ? UINT64_MAX - byte[5] :
			(uint64_t)byte[5] << 12,
		.max_bytes = byte[4] & 4 ? UINT64_MAX :
			     (uint64_t)byte[6] << 14,
		.timeout_ms = byte[4] & 8 ? UINT64_MAX : byte[6] >> 2,
		.age_us = (uint64_t)byte[7] << (byte[2] & 63),
		.took_us = byte[7], .tgid = byte[3] & 3,
		.res_id = byte[8] & 15, .ident = byte[8] >> 6,
		.width = byte[9], .bo_kind = byte[8] >> 4 & 3,
		.bucket = byte[10], .tier = byte[11] & 3,
		.reason = byte[11] >> 2 & 15,
	};
}

#define EVENT_BYTES 12

/* Whatever happens, nothing is served that was not asked for */
static void fuzz_events(const uint8_t *data, size_t size)
{
	struct model *models[] = {
		model_new(MODEL_AS_RECORDED, MODEL_AS_RECORDED),
		model_new(1, 1 << 20), model_new(60000, 1ull << 40),
	};
	struct tally *tally = calloc(1, sizeof(*tally));
	struct model_result result;
	struct trace_event event;
	uint64_t ns = 1, creates = 0;

	assert(tally);
	for (; size >= EVENT_BYTES; data += EVENT_BYTES, size -= EVENT_BYTES) {
		event = make_event(data, &ns);
		/* As the reader sees to it */
		if (ns > 1ull << 62)
			break;
		tally_event(tally, &event);
		for (size_t i = 0; i < ARRAY_SIZE(models); i++)
			model_event(models[i], &event);
	}
	tally_end(tally);
	for (size_t i = 0; i < tally->n; i++)
		creates += tally->processes[i].counts.creates;
	assert(creates == tally->all.creates);
	for (size_t i = 0; i < ARRAY_SIZE(models); i++) {
		result = model_result(models[i], ns);
		assert(result.hits[TIER_RESOURCE] + result.hits[TIER_PAGES] <=
		       result.creates);
		assert(result.byte_ns >= 0);
		assert(i != 1 || result.peak <= 1 << 20);
		model_free(models[i]);
	}
	tally_free(tally);
	free(tally);
}

/* Where agents are looked for */
static int agent_server(struct sockaddr_un *address)
{
	static int server = -1;

	*address = (struct sockaddr_un) { .sun_family = AF_UNIX };
	assert(snprintf(address->sun_path, sizeof(address->sun_path),
			"%s/agent", tree()) < (int)sizeof(address->sun_path));
	if (server >= 0)
		return server;
	server = socket(AF_UNIX, SOCK_STREAM, 0);
	assert(server >= 0 && !bind(server, (struct sockaddr *)address,
				    sizeof(*address)) && !listen(server, 4));
	return server;
}

/* The first request by the rules, unless WRONG; false if there was none */
static bool answer_sync(int peer, bool wrong)
{
	char request[256] = "", answer[64];
	long long id;
	char *number;

	if (recv(peer, request, sizeof(request) - 1, MSG_DONTWAIT) <= 0)
		return false;
	number = strstr(request, "\"id\":");
	if (number && !wrong && sscanf(number + 5, "%lld", &id) == 1) {
		snprintf(answer, sizeof(answer), "\xff{\"return\": %lld}\n",
			 id);
		send(peer, answer, strlen(answer), MSG_NOSIGNAL);
		return true;
	}
	return false;
}

/* A guest may say what it likes; a zero is where it waits for the next request */
static void fuzz_agent(const uint8_t *data, size_t size)
{
	struct sockaddr_un address;
	int server = agent_server(&address), peer;
	const uint8_t *end, *last = data + size;
	struct agent *agent = agent_new(address.sun_path);
	uint64_t now = 0;
	char request[256];

	if (!size)
		return agent_free(agent);
	agent_begin(agent, *data & 1, now, 1000);
	peer = accept(server, NULL, NULL);
	assert(peer >= 0);
	agent_go_on(agent, POLLOUT, now);
	if (answer_sync(peer, *data & 2))
		agent_go_on(agent, POLLIN, now);
	for (data++; agent_busy(agent); now += 60) {
		end = data < last ? memchr(data, 0, last - data) : NULL;
		end = end ? end : last;
		recv(peer, request, sizeof(request), MSG_DONTWAIT);
		send(peer, data, end - data, MSG_NOSIGNAL | MSG_DONTWAIT);
		data = end < last ? end + 1 : last;
		agent_go_on(agent, POLLIN, now);
	}
	assert(agent_poll(agent).fd < 0 && agent_due(agent) == UINT64_MAX);
	close(peer);
	agent_free(agent);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const files[] = {
		DEVICE "/bo_cache/stats/puts", DEVICE "/bo_cache/timeout_ms",
		DEVICE "/features", "/sys/kernel/debug/dri/0/bo_cache/buckets",
		"/sys/module/virtio_gpu/parameters/bo_cache_max_bytes",
		"/etc/udev/rules.d/90-virtgpu-cachectl.rules",
		"/proc/meminfo",
	};
	static void (*const targets[])(const char *) = {
		fuzz_quantity, fuzz_bucket, fuzz_fdinfo, fuzz_arguments
	};
	static void (*const binary[])(const uint8_t *, size_t) = {
		fuzz_trace, fuzz_events, fuzz_agent
	};
	unsigned int what;
	char *text;

	if (!size)
		return 0;
	what = data[0] % (ARRAY_SIZE(targets) + ARRAY_SIZE(files) +
			  ARRAY_SIZE(binary));
	if (what >= ARRAY_SIZE(targets) + ARRAY_SIZE(files)) {
		what -= ARRAY_SIZE(targets) + ARRAY_SIZE(files);
		binary[what](data + 1, size - 1);
		return 0;
	}
	text = strndup((const char *)data + 1, size - 1);
	assert(text);
	if (what < ARRAY_SIZE(targets))
		targets[what](text);
	else
		fuzz_file(files[what - ARRAY_SIZE(targets)], text);
	free(text);
	return 0;
}
