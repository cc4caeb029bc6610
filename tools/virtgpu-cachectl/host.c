// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * "host": runs on the host, and has guests drop what their caches hold when memory
 * is short there.
 *
 * When it is, all guests are asked at once what they hold.  Those that have answered
 * are told to purge, the largest first, one after another; who does not answer is
 * not waited for.  Then nobody is asked for a while.
 */

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent.h"
#include "pressure.h"
#include "units.h"

/* How long the largest is waited for, before the others are told to purge */
#define ANSWERS_MS 300
/* And how long until the next is told, if the one before is not done */
#define NEXT_MS 300

/* What an answer may take: a program is started in a guest that may be busy */
#define ASK_DEADLINE_MS 5000
/* The guest's kernel waits for its host for ten seconds */
#define PURGE_DEADLINE_MS 15000

/* Less is not worth a client's having to allocate it again */
#define WORTH_BYTES (1 << 20)

/* How long a guest that has failed is left alone, at first and at most */
#define BACK_OFF_MS 1000
#define BACK_OFF_MAX_MS 300000

#define STALL_MS 100
#define COOL_DOWN_MS 10000

enum stage {
	IDLE,
	ASKED,				/* what it holds */
	KNOWN,				/* it has said so */
	TOLD,				/* to purge */
};

/**
 * struct guest - a guest, and how it is served
 * @agent: its agent
 * @stage: how far it is in this round
 * @held: what it holds, bytes
 * @back_off_ms: how long it was left alone after it had failed, or 0
 * @not_before: until when that is
 * @there: its socket is, when a folder is looked through
 */
struct guest {
	struct agent *agent;
	enum stage stage;
	uint64_t held;
	unsigned int back_off_ms;
	uint64_t not_before;
	bool there;
};

/**
 * struct host - all that is watched
 * @opts: options
 * @paths: sockets, and folders of sockets
 * @guests: those that there are
 * @n: how many
 * @pressure: the host's memory
 * @in_round: guests are being asked or told
 * @round_begun: when that began
 * @next: when the next guest may be told
 * @stall_ms: how long tasks have to wait in a second to make memory short
 * @cool_down_ms: how long to do nothing after a round
 * @calm_until: until when that is
 * @failed: a guest could not be served in this round
 */
struct host {
	const struct options *opts;
	char **paths;
	struct guest *guests;
	size_t n;
	struct pressure pressure;
	bool in_round;
	uint64_t round_begun;
	uint64_t next;
	uint64_t stall_ms;
	uint64_t cool_down_ms;
	uint64_t calm_until;
	bool failed;
};

static volatile sig_atomic_t ended;

static void end(int signal)
{
	ended = signal;
}

static struct guest *find_guest(struct host *host, const char *path)
{
	for (size_t i = 0; i < host->n; i++)
		if (!strcmp(agent_path(host->guests[i].agent), path))
			return &host->guests[i];
	return NULL;
}

static void add_guest(struct host *host, const char *path)
{
	struct guest *guest = find_guest(host, path);

	if (!guest) {
		host->guests = grown(host->guests, host->n, sizeof(*guest));
		guest = &host->guests[host->n++];
		*guest = (struct guest) { .agent = agent_new(path) };
	}
	guest->there = true;
}

static void add_folder(struct host *host, const char *path, DIR *folder)
{
	struct dirent *found;
	struct stat stat;
	char *name;

	while ((found = readdir(folder))) {
		name = format("%s/%s", path, found->d_name);
		if (!lstat(name, &stat) && S_ISSOCK(stat.st_mode))
			add_guest(host, name);
		free(name);
	}
}

/* Guests come and go; one that was named is expected to be there */
static void find_guests(struct host *host)
{
	size_t n = 0;
	DIR *folder;

	for (size_t i = 0; i < host->n; i++)
		host->guests[i].there = false;
	for (char **path = host->paths; *path; path++) {
		folder = opendir(*path);
		if (folder) {
			add_folder(host, *path, folder);
			closedir(folder);
		} else {
			add_guest(host, *path);
		}
	}
	for (size_t i = 0; i < host->n; i++) {
		if (host->guests[i].there)
			host->guests[n++] = host->guests[i];
		else
			agent_free(host->guests[i].agent);
	}
	host->n = n;
}

/* Rounds */

static void begin_round(struct host *host, uint64_t now)
{
	struct guest *guest;
	size_t asked = 0;

	find_guests(host);
	host->in_round = true;
	host->failed = false;
	host->round_begun = now;
	host->next = now;
	for (size_t i = 0; i < host->n; i++) {
		guest = &host->guests[i];
		guest->stage = IDLE;
		if (now < guest->not_before)
			continue;
		agent_begin(guest->agent, AGENT_ASK, now, ASK_DEADLINE_MS);
		guest->stage = ASKED;
		asked++;
	}
	if (!host->opts->once)
		printf("memory is short: %zu of %zu guests are asked\n", asked,
		       host->n);
}

static void leave_alone(struct guest *guest, uint64_t now, bool once)
{
	bool first = !guest->back_off_ms;
	char *time;

	guest->back_off_ms = first ? BACK_OFF_MS : guest->back_off_ms * 2;
	if (guest->back_off_ms > BACK_OFF_MAX_MS)
		guest->back_off_ms = BACK_OFF_MAX_MS;
	guest->not_before = now + guest->back_off_ms;
	if (!first)
		return;
	time = once ? NULL : unit_format(UNIT_MS, BACK_OFF_MAX_MS, false);
	printf("%s: %s%s%s\n", agent_path(guest->agent),
	       agent_error(guest->agent),
	       once ? "" : "; tried again from time to time, at least every ",
	       once ? "" : time);
	free(time);
}

static void take_answer(struct host *host, struct guest *guest, uint64_t now)
{
	char *size, *time;

	if (agent_error(guest->agent)) {
		leave_alone(guest, now, host->opts->once);
		guest->stage = IDLE;
		host->failed = true;
		return;
	}
	if (guest->back_off_ms)
		printf("%s: answers again\n", agent_path(guest->agent));
	guest->back_off_ms = 0;
	size = unit_format(UNIT_BYTES, agent_bytes(guest->agent),
			   host->opts->bytes);
	if (guest->stage == ASKED) {
		guest->held = agent_bytes(guest->agent);
		guest->stage = guest->held >= WORTH_BYTES ? KNOWN : IDLE;
		printf("%s: holds %s\n", agent_path(guest->agent), size);
	} else {
		time = unit_format(UNIT_MS, agent_took_ms(guest->agent), false);
		guest->stage = IDLE;
		printf("%s: has purged %s in %s\n", agent_path(guest->agent),
		       size, time);
		free(time);
	}
	free(size);
}

static bool any_in(const struct host *host, enum stage stage)
{
	for (size_t i = 0; i < host->n; i++)
		if (host->guests[i].stage == stage)
			return true;
	return false;
}

static struct guest *largest(struct host *host)
{
	struct guest *guest, *found = NULL;

	for (size_t i = 0; i < host->n; i++) {
		guest = &host->guests[i];
		if (guest->stage == KNOWN &&
		    (!found || guest->held > found->held))
			found = guest;
	}
	return found;
}

/* When that is possible depends on who has answered, and on who is at it */
static uint64_t next_due(const struct host *host)
{
	if (!any_in(host, KNOWN))
		return UINT64_MAX;
	if (any_in(host, TOLD))
		return host->next;
	return any_in(host, ASKED) ? host->round_begun + ANSWERS_MS : 0;
}

static void tell_next(struct host *host, uint64_t now)
{
	struct guest *guest = largest(host);

	if (host->opts->dry_run) {
		printf("%s: would be told to purge\n",
		       agent_path(guest->agent));
		guest->stage = IDLE;
		return;
	}
	agent_begin(guest->agent, AGENT_PURGE, now, PURGE_DEADLINE_MS);
	guest->stage = TOLD;
	host->next = now + NEXT_MS;
}

static void go_on(struct host *host, const struct pollfd *ready, uint64_t now)
{
	struct guest *guest;

	for (size_t i = 0; i < host->n; i++) {
		guest = &host->guests[i];
		if (guest->stage != ASKED && guest->stage != TOLD)
			continue;
		agent_go_on(guest->agent, ready[i].revents, now);
		if (!agent_busy(guest->agent))
			take_answer(host, guest, now);
	}
	while (next_due(host) <= now)
		tell_next(host, now);
	if (any_in(host, ASKED) || any_in(host, KNOWN) || any_in(host, TOLD))
		return;
	host->in_round = false;
	host->calm_until = now + host->cool_down_ms;
}

/* Milliseconds, or UINT64_MAX: until something comes */
static uint64_t wait_ms(const struct host *host, uint64_t now)
{
	uint64_t due = host->opts->once ? UINT64_MAX :
		       pressure_due(&host->pressure);

	for (size_t i = 0; i < host->n; i++) {
		const struct guest *guest = &host->guests[i];

		/* It has failed at once */
		if ((guest->stage == ASKED || guest->stage == TOLD) &&
		    !agent_busy(guest->agent))
			return 0;
		if (agent_due(guest->agent) < due)
			due = agent_due(guest->agent);
	}
	if (next_due(host) < due)
		due = next_due(host);
	if (due == UINT64_MAX)
		return due;
	return due > now ? due - now : 0;
}

/* Waits until something is to be done, and does it */
static enum status turn(struct host *host)
{
	struct pollfd *ready = checked(calloc(host->n + 1, sizeof(*ready)));
	uint64_t now = agent_now(), ms = wait_ms(host, now);
	struct timespec wait = { ms / 1000, ms % 1000 * 1000000 };
	sigset_t none;
	int rose = 0;

	for (size_t i = 0; i < host->n; i++)
		ready[i] = agent_poll(host->guests[i].agent);
	ready[host->n] = host->opts->once ? (struct pollfd) { .fd = -1 } :
			 pressure_poll(&host->pressure);
	/* Signals come only here; who calls looks for them */
	sigemptyset(&none);
	if (ppoll(ready, host->n + 1, ms == UINT64_MAX ? NULL : &wait,
		  &none) < 0)
		memset(ready, 0, (host->n + 1) * sizeof(*ready));
	now = agent_now();
	if (!host->opts->once)
		rose = pressure_rose(&host->pressure,
				     ready[host->n].revents, now);
	if (host->in_round)
		go_on(host, ready, now);
	free(ready);
	if (rose < 0) {
		complain("%s: is gone", host->pressure.path);
		return FAILED;
	}
	if (rose && !host->in_round && now >= host->calm_until)
		begin_round(host, now);
	return DONE;
}

static enum status run_once(struct host *host)
{
	enum status status = DONE;

	begin_round(host, agent_now());
	while (host->n && !status && !ended && host->in_round)
		status = turn(host);
	if (!host->n) {
		complain("host: there is no guest");
		advise("its agent's socket, or a folder with it, has to be there");
		return FAILED;
	}
	return status ? status : host->failed || ended ? FAILED : DONE;
}

static enum status watch(struct host *host)
{
	enum status status = pressure_open(&host->pressure,
					   host->opts->cgroup, host->stall_ms);

	if (status)
		return status;
	find_guests(host);
	printf("watching %s%s, %zu guests now\n", host->pressure.path,
	       host->pressure.trigger >= 0 ? "" : ", by looking", host->n);
	while (!status && !ended)
		status = turn(host);
	pressure_close(&host->pressure);
	return status;
}

/* Only while it waits: one that came just before would be slept over */
static void catch_signals(void)
{
	const struct sigaction action = { .sa_handler = end };
	sigset_t ours;

	sigemptyset(&ours);
	sigaddset(&ours, SIGINT);
	sigaddset(&ours, SIGTERM);
	sigprocmask(SIG_BLOCK, &ours, NULL);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static bool parse_ms(const char *option, const char *text, uint64_t most,
		     uint64_t *ms)
{
	const char *wrong;

	if (!text)
		return true;
	wrong = unit_parse(UNIT_MS, text, ms);
	if (!wrong && (!*ms || *ms > most))
		wrong = "is out of range";
	if (wrong)
		complain("--%s: '%s' %s", option, text, wrong);
	return !wrong;
}

enum status cmd_host(const struct options *opts, int argc, char **argv)
{
	struct host host = {
		.opts = opts, .paths = argv, .stall_ms = STALL_MS,
		.cool_down_ms = COOL_DOWN_MS,
	};
	enum status status;

	(void)argc;
	if (!parse_ms("stall", opts->stall, 1000, &host.stall_ms) ||
	    !parse_ms("cool-down", opts->cool_down, 3600000,
		      &host.cool_down_ms))
		return USAGE;
	catch_signals();
	/* What is written is read by people */
	setvbuf(stdout, NULL, _IOLBF, 0);
	status = opts->once ? run_once(&host) : watch(&host);
	for (size_t i = 0; i < host.n; i++)
		agent_free(host.guests[i].agent);
	free(host.guests);
	return status;
}
