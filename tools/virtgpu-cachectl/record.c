// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * "record": the events of the cache, into a file, while a command runs or for a
 * time.  They are recorded in a trace instance of our own, so that nobody
 * else's tracing is disturbed.
 */

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <tracefs.h>

#include "datfile.h"
#include "device.h"
#include "files.h"
#include "samples.h"
#include "trace.h"

/* Of each processor: some seconds of creates, as fast as they can be */
#define BUFFER_KB "8192"
/* Tasks whose names the kernel is to remember, at least; some do 128 */
#define NAMES 4096
/* How often the buffers are emptied */
#define PERIOD_NS 50000000

static const char default_path[] = "trace.dat";

/**
 * struct recording - one that is being made
 * @instance: where it is recorded
 * @n: processors
 * @cpus: their buffers
 * @pages: what has been taken out of them
 * @error: an errno, if something could not be
 */
struct recording {
	struct tracefs_instance *instance;
	unsigned int n;
	struct tracefs_cpu **cpus;
	FILE **pages;
	int error;
};

static volatile sig_atomic_t ended;

static void end(int signal)
{
	ended = signal;
}

static enum status failed(const char *what)
{
	int error = errno;

	complain("%s: %s", what, strerror(error));
	if (status_of(error) == DENIED) {
		advise("recording is for root");
		return DENIED;
	}
	advise("tracefs must be mounted: mount -t tracefs tracefs /sys/kernel/tracing");
	return FAILED;
}

static bool tell(struct recording *recording, const char *file,
		 const char *value)
{
	return tracefs_instance_file_write(recording->instance, file, value) >=
	       0;
}

/* It forgets all of them when that changes, so it stays */
static void remember_names(void)
{
	static const char file[] = "saved_cmdlines_size";
	long long names;
	char *text;

	if (tracefs_instance_file_read_number(NULL, file, &names) ||
	    names >= NAMES)
		return;
	text = format("%d", NAMES);
	tracefs_instance_file_write(NULL, file, text);
	free(text);
}

/* Without a name, next to what it will be a part of: /tmp may be in memory */
static FILE *open_pages(const char *path)
{
	char *copied = checked(strdup(path));
	int fd = open(dirname(copied), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	free(copied);
	return fd < 0 ? tmpfile() : fdopen(fd, "w+");
}

static enum status open_buffers(struct recording *recording, const char *path)
{
	recording->n = get_nprocs_conf();
	recording->cpus = checked(calloc(recording->n, sizeof(void *)));
	recording->pages = checked(calloc(recording->n, sizeof(void *)));
	for (unsigned int cpu = 0; cpu < recording->n; cpu++) {
		recording->pages[cpu] = open_pages(path);
		if (!recording->pages[cpu])
			return failed("a temporary file");
		/* A processor that is not there has none */
		recording->cpus[cpu] = tracefs_cpu_open(recording->instance,
							cpu, true);
	}
	return DONE;
}

static enum status begin(struct recording *recording, const char *path)
{
	char *name = format("virtgpu-cachectl-%d", getpid());

	errno = ENOENT;
	if (tracefs_tracing_dir())
		recording->instance = tracefs_instance_create(name);
	free(name);
	if (!recording->instance)
		return failed("the kernel's tracing");
	remember_names();
	if (!tell(recording, "trace_clock", "mono") ||
	    !tell(recording, "buffer_size_kb", BUFFER_KB))
		return failed("the trace buffer");
	if (tracefs_event_enable(recording->instance, TRACE_SYSTEM, NULL))
		return failed("the events of " TRACE_SYSTEM);
	return open_buffers(recording, path);
}

static void finish(struct recording *recording)
{
	for (unsigned int cpu = 0; cpu < recording->n; cpu++) {
		if (recording->cpus[cpu])
			tracefs_cpu_close(recording->cpus[cpu]);
		if (recording->pages[cpu])
			fclose(recording->pages[cpu]);
	}
	free(recording->cpus);
	free(recording->pages);
	if (!recording->instance)
		return;
	tracefs_instance_destroy(recording->instance);
	tracefs_instance_free(recording->instance);
}

/* What a buffer that has no more says is no error */
static void check_taken(struct recording *recording, int taken)
{
	if (taken < 0 && errno != EAGAIN && errno != EINTR &&
	    !recording->error)
		recording->error = errno;
}

/* Takes full pages out of the buffers, or at the end also what is begun */
static void collect(struct recording *recording, bool last)
{
	struct tracefs_cpu *cpu;
	int fd, taken;

	for (unsigned int i = 0; i < recording->n; i++) {
		cpu = recording->cpus[i];
		fd = fileno(recording->pages[i]);
		if (!cpu)
			continue;
		while ((taken = tracefs_cpu_write(cpu, fd, true)) > 0)
			;
		check_taken(recording, taken);
		while (last && (taken = tracefs_cpu_flush_write(cpu, fd)) > 0)
			;
		check_taken(recording, taken);
	}
}

static pid_t run_command(char **argv)
{
	pid_t pid = fork();
	int error;

	if (pid)
		return pid;
	signal(SIGINT, SIG_DFL);
	execvp(argv[0], argv);
	error = errno;
	complain("%s: %s", argv[0], strerror(error));
	_exit(error == ENOENT ? 127 : 126);
}

/*
 * From here on nothing ends us before the kernel's buffers are given back.  A
 * command gets Ctrl-C itself, and may not end of it.
 */
static void catch_signals(bool has_command)
{
	signal(SIGINT, has_command ? SIG_IGN : end);
	signal(SIGTERM, end);
	/* nohup is to be respected */
	if (signal(SIGHUP, end) == SIG_IGN)
		signal(SIGHUP, SIG_IGN);
	/* Else nobody tells how the command ended */
	signal(SIGCHLD, SIG_DFL);
}

static bool is_later(const struct timespec *limit)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec != limit->tv_sec ? now.tv_sec > limit->tv_sec :
	       now.tv_nsec >= limit->tv_nsec;
}

/*
 * Until the command ends, or there is none and TIME is up, or Ctrl-C.  What would
 * end us is for the command.
 */
static enum status watch(struct recording *recording, char **argv,
			 struct timespec time)
{
	const struct timespec period = { 0, PERIOD_NS };
	struct timespec limit;
	pid_t pid = 0;
	int how = 0;

	clock_gettime(CLOCK_MONOTONIC, &limit);
	limit.tv_sec += time.tv_sec + (limit.tv_nsec + time.tv_nsec) /
			1000000000;
	limit.tv_nsec = (limit.tv_nsec + time.tv_nsec) % 1000000000;
	if (*argv)
		pid = run_command(argv);
	if (pid < 0)
		return failed("a process for the command");
	while (pid ? !waitpid(pid, &how, WNOHANG) :
		     !ended && !is_later(&limit)) {
		if (pid && ended) {
			kill(pid, ended);
			ended = 0;
		}
		collect(recording, false);
		nanosleep(&period, NULL);
	}
	if (!how)
		return DONE;
	complain("%s: ended with %s %d", argv[0],
		 WIFEXITED(how) ? "status" : "signal",
		 WIFEXITED(how) ? WEXITSTATUS(how) : WTERMSIG(how));
	return FAILED;
}

static enum status record(struct recording *recording, struct output *output,
			  char **argv, struct timespec time)
{
	enum status status = begin(recording, output->path), written;

	if (status)
		return status;
	status = watch(recording, argv, time);
	tracefs_trace_off(recording->instance);
	tracefs_event_disable(recording->instance, TRACE_SYSTEM, NULL);
	collect(recording, true);
	if (recording->error) {
		complain("a temporary file for what was recorded: %s",
			 strerror(recording->error));
		return FAILED;
	}
	written = datfile_write(output, tracefs_tracing_dir(), TRACE_SYSTEM,
				recording->pages, recording->n);
	return status ? status : written;
}

static enum status check(const struct options *opts, int argc,
			 struct timespec *time)
{
	struct devices devices;
	enum status status;

	if (root_is_other()) {
		complain("--sysroot: only this machine can be recorded");
		return USAGE;
	}
	if (!argc == !opts->all) {
		complain("record: it takes either a command or --all");
		return USAGE;
	}
	if (opts->all && !interval_parse(opts->all, time))
		return USAGE;
	status = devices_choose(&devices, NULL, true);
	if (!status)
		devices_free(&devices);
	return status;
}

enum status cmd_record(const struct options *opts, int argc, char **argv)
{
	struct recording recording = { 0 };
	struct timespec time = { 0, 0 };
	enum status status, closed;
	struct output output;

	status = check(opts, argc, &time);
	if (status)
		return status;
	/* First of all: what can't be written need not be recorded */
	status = output_open(&output, opts->file ? opts->file : default_path);
	if (status)
		return status;
	catch_signals(argc);
	status = record(&recording, &output, argv, time);
	finish(&recording);
	closed = output_close(&output);
	return status ? status : closed;
}
