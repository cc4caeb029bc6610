// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The protocol of the QEMU guest agent, as far as it takes to have a program run:
 * JSON, a line each way at a time.  What is left over from somebody else's talk is
 * told from ours by guest-sync-delimited: its answer begins with a byte that no
 * JSON has.
 */

#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "cachectl.h"

#define DELIMITER '\xff'

/* Longer than any answer to us; a guest must not make us take up memory */
#define ANSWER_MAX 65536

/* How often it is asked whether the program has ended */
#define STATUS_MS 50

/* Why it takes so long is in what it is waited for */
enum step {
	IDLE,
	SYNC,				/* the answer with our number */
	EXEC,				/* the answer with the program's */
	PAUSE,				/* until it is asked again */
	STATUS,				/* the answer with what it printed */
};

/**
 * struct agent - a guest's agent, and what it is about
 * @path: its socket
 * @fd: the connection, or -1
 * @job: what the guest is to do
 * @step: what is waited for
 * @number: of the last guest-sync-delimited
 * @pid: of the program in the guest
 * @begun: when the job was begun
 * @deadline: when it is given up
 * @due: when to go on without being called
 * @out: what is to be sent, @sent of it is
 * @in: what has come of an answer
 * @error: why the job failed
 * @bytes: what it found or freed
 * @took_ms: how long it took
 */
struct agent {
	char *path;
	int fd;
	enum agent_job job;
	enum step step;
	json_int_t number;
	json_int_t pid;
	uint64_t begun;
	uint64_t deadline;
	uint64_t due;
	char *out;
	size_t sent;
	char in[ANSWER_MAX];
	size_t got;
	char *error;
	uint64_t bytes;
	unsigned int took_ms;
};

static const char *const programs[][6] = {
	[AGENT_ASK] = { "virtgpu-cachectl", "--json", "--bytes",
			"--output=RESOURCE,PAGES,PURGEABLE", NULL },
	[AGENT_PURGE] = { "virtgpu-cachectl", "purge", "--json", "--bytes",
			  NULL },
};

uint64_t agent_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ull + t.tv_nsec / 1000000;
}

struct agent *agent_new(const char *path)
{
	struct agent *agent = checked(calloc(1, sizeof(*agent)));

	agent->path = checked(strdup(path));
	agent->fd = -1;
	return agent;
}

/* Others may want to talk to it */
static void hang_up(struct agent *agent)
{
	if (agent->fd >= 0)
		close(agent->fd);
	agent->fd = -1;
	free(agent->out);
	agent->out = NULL;
	agent->step = IDLE;
}

void agent_free(struct agent *agent)
{
	hang_up(agent);
	free(agent->error);
	free(agent->path);
	free(agent);
}

static void end(struct agent *agent, uint64_t now, char *error)
{
	agent->error = error;
	agent->took_ms = now - agent->begun;
	hang_up(agent);
}

static void fail(struct agent *agent, uint64_t now, const char *why)
{
	end(agent, now, format("%s", why));
}

/* Takes REQUEST over; PREFIX is what comes before it */
static void ask(struct agent *agent, enum step step, const char *prefix,
		json_t *request)
{
	char *text = checked(json_dumps(request, JSON_COMPACT));

	json_decref(request);
	free(agent->out);
	agent->out = format("%s%s\n", prefix, text);
	free(text);
	agent->sent = 0;
	agent->got = 0;
	agent->step = step;
	agent->due = agent->deadline;
}

static void ask_sync(struct agent *agent)
{
	static json_int_t number;

	agent->number = ++number + (json_int_t)getpid() * 1000000;
	/* The byte also ends what somebody left unfinished */
	ask(agent, SYNC, "\xff",
	    checked(json_pack("{s:s, s:{s:I}}", "execute",
			      "guest-sync-delimited", "arguments", "id",
			      agent->number)));
}

static void ask_exec(struct agent *agent)
{
	const char *const *program = programs[agent->job];
	json_t *arguments = checked(json_array());

	for (size_t i = 1; program[i]; i++)
		json_array_append_new(arguments, json_string(program[i]));
	ask(agent, EXEC, "",
	    checked(json_pack("{s:s, s:{s:s, s:o, s:b}}", "execute",
			      "guest-exec", "arguments", "path", program[0],
			      "arg", arguments, "capture-output", 1)));
}

static void ask_status(struct agent *agent)
{
	ask(agent, STATUS, "",
	    checked(json_pack("{s:s, s:{s:I}}", "execute", "guest-exec-status",
			      "arguments", "pid", agent->pid)));
}

void agent_begin(struct agent *agent, enum agent_job job, uint64_t now,
		 unsigned int deadline_ms)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	free(agent->error);
	agent->error = NULL;
	agent->bytes = 0;
	agent->job = job;
	agent->begun = now;
	agent->deadline = now + deadline_ms;
	if (strlen(agent->path) >= sizeof(address.sun_path)) {
		fail(agent, now, "its path is too long for a socket");
		return;
	}
	strcpy(address.sun_path, agent->path);
	agent->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			   0);
	if (agent->fd < 0 ||
	    connect(agent->fd, (struct sockaddr *)&address, sizeof(address))) {
		/* A socket here connects at once, or its queue is full */
		fail(agent, now, errno == EAGAIN ?
		     "somebody else is talking to it" : strerror(errno));
		return;
	}
	ask_sync(agent);
}

/*
 * What the agent itself says is wrong, or that it makes no sense.  The guest is not
 * to write lines of its own into our log, or to control the terminal.
 */
static void fail_by(struct agent *agent, uint64_t now, json_t *answer)
{
	const char *why = NULL;

	if (json_unpack(answer, "{s:{s:s}}", "error", "desc", &why)) {
		fail(agent, now, "the agent does not answer as one");
		return;
	}
	end(agent, now, format("the agent says: %.200s", why));
	for (char *c = agent->error; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

/* Decodes TEXT where it stands; its length then, or -1 */
static ssize_t base64_decode(char *text)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned int bits = 0, value = 0;
	ssize_t n = 0;

	for (const char *p = text; *p && *p != '='; p++) {
		const char *digit = strchr(digits, *p);

		if (!digit)
			return -1;
		value = (value << 6 | (digit - digits)) & 0xffffff;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			text[n++] = value >> bits;
		}
	}
	text[n] = 0;
	return n;
}

/* The sum of numbers that a table has: of its lists, their rows, named cells */
static bool sum_table(json_t *table, uint64_t *sum)
{
	static const char *const names[] = {
		"resource", "pages", "purgeable", "size"
	};
	const char *title;
	json_t *rows, *row;
	size_t i;

	*sum = 0;
	json_object_foreach(table, title, rows) {
		json_array_foreach(rows, i, row)
			for (size_t k = 0; k < ARRAY_SIZE(names); k++)
				*sum += json_integer_value(
					json_object_get(row, names[k]));
		return json_is_array(rows);
	}
	return false;
}

static void take_output(struct agent *agent, uint64_t now, json_t *result)
{
	const char *encoded = json_string_value(json_object_get(result,
								"out-data"));
	json_int_t status = json_integer_value(json_object_get(result,
							       "exitcode"));
	char *text = checked(strdup(encoded ? encoded : ""));
	json_t *table = NULL;
	ssize_t len = base64_decode(text);

	if (len >= 0)
		table = json_loadb(text, len, 0, NULL);
	free(text);
	if (status == NO_DEVICE)
		fail(agent, now, "it has no virtio GPU");
	else if (status)
		end(agent, now, format("its virtgpu-cachectl ended with status %d",
				       (int)status));
	else if (!sum_table(table, &agent->bytes))
		fail(agent, now, "its virtgpu-cachectl printed no table");
	else
		end(agent, now, NULL);
	json_decref(table);
}

static void take_answer(struct agent *agent, uint64_t now, json_t *answer)
{
	json_t *result = json_object_get(answer, "return");
	json_t *exited;

	switch (agent->step) {
	case SYNC:
		/* An older one is somebody's that gave up */
		if (!json_is_integer(result))
			fail_by(agent, now, answer);
		else if (json_integer_value(result) == agent->number)
			ask_exec(agent);
		return;
	case EXEC:
		if (json_unpack(result, "{s:I}", "pid", &agent->pid)) {
			fail_by(agent, now, answer);
			return;
		}
		agent->step = PAUSE;
		agent->due = now + STATUS_MS;
		return;
	case STATUS:
		exited = json_object_get(result, "exited");
		if (json_is_true(exited)) {
			take_output(agent, now, result);
		} else if (json_is_false(exited)) {
			agent->step = PAUSE;
			agent->due = now + STATUS_MS;
		} else {
			fail_by(agent, now, answer);
		}
		return;
	default:
		fail_by(agent, now, NULL);
	}
}

/* What has come before the byte that begins our answer is not for us */
static void skip_old(struct agent *agent)
{
	const char *start = memrchr(agent->in, DELIMITER, agent->got);

	if (!start) {
		agent->got = 0;
		return;
	}
	agent->got -= start - agent->in;
	memmove(agent->in, start, agent->got);
}

static void take_line(struct agent *agent, uint64_t now)
{
	size_t before = agent->step == SYNC;
	char *end = memchr(agent->in, '\n', agent->got);
	json_t *answer;
	size_t len;

	if (!end)
		return;
	len = end - agent->in;
	answer = json_loadb(agent->in + before, len - before, 0, NULL);
	agent->got -= len + 1;
	memmove(agent->in, end + 1, agent->got);
	if (answer)
		take_answer(agent, now, answer);
	else
		fail_by(agent, now, NULL);
	json_decref(answer);
}

static void receive(struct agent *agent, uint64_t now)
{
	ssize_t n = recv(agent->fd, agent->in + agent->got,
			 sizeof(agent->in) - agent->got, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		fail(agent, now, n ? strerror(errno) : "it hung up");
		return;
	}
	agent->got += n;
	if (agent->step == SYNC)
		skip_old(agent);
	take_line(agent, now);
	if (agent->got == sizeof(agent->in))
		fail_by(agent, now, NULL);
}

static void send_more(struct agent *agent, uint64_t now)
{
	ssize_t n = send(agent->fd, agent->out + agent->sent,
			 strlen(agent->out) - agent->sent, MSG_NOSIGNAL);

	if (n >= 0)
		agent->sent += n;
	else if (errno != EAGAIN && errno != EINTR)
		fail(agent, now, strerror(errno));
}

static bool has_sent_all(const struct agent *agent)
{
	return agent->sent == strlen(agent->out);
}

void agent_go_on(struct agent *agent, short revents, uint64_t now)
{
	if (agent->step == IDLE)
		return;
	if (now >= agent->deadline) {
		fail(agent, now, agent->step == SYNC ?
		     "no agent answers in the guest" :
		     "its virtgpu-cachectl did not end in time");
		return;
	}
	if (agent->step == PAUSE && now >= agent->due)
		ask_status(agent);
	if (!has_sent_all(agent))
		send_more(agent, now);
	if (agent->step != IDLE && revents & (POLLIN | POLLHUP | POLLERR))
		receive(agent, now);
}

bool agent_busy(const struct agent *agent)
{
	return agent->step != IDLE;
}

struct pollfd agent_poll(const struct agent *agent)
{
	struct pollfd wanted = { .fd = agent->fd, .events = POLLIN };

	if (agent->step == IDLE)
		wanted.fd = -1;
	else if (!has_sent_all(agent))
		wanted.events |= POLLOUT;
	return wanted;
}

uint64_t agent_due(const struct agent *agent)
{
	if (agent->step == IDLE)
		return UINT64_MAX;
	return agent->due < agent->deadline ? agent->due : agent->deadline;
}

const char *agent_path(const struct agent *agent)
{
	return agent->path;
}

const char *agent_error(const struct agent *agent)
{
	return agent->error;
}

uint64_t agent_bytes(const struct agent *agent)
{
	return agent->bytes;
}

unsigned int agent_took_ms(const struct agent *agent)
{
	return agent->took_ms;
}
