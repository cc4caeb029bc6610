// SPDX-License-Identifier: GPL-2.0-or-later
#include "pressure.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"

#define WINDOW_US 1000000

/* Who may have the kernel watch it for a second need not look */
static int open_trigger(const char *path, uint64_t stall_us)
{
	char *trigger = format("some %" PRIu64 " %d", stall_us, WINDOW_US);
	int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);

	/* With the zero at its end */
	if (fd >= 0 && write(fd, trigger, strlen(trigger) + 1) < 0) {
		close(fd);
		fd = -1;
	}
	free(trigger);
	return fd;
}

/* Returns an errno */
static int read_total(const struct pressure *pressure, uint64_t *us)
{
	char *text;
	int error = file_read(pressure->path, &text);

	if (error)
		return error;
	if (sscanf(text, "some %*s %*s %*s total=%" SCNu64, us) != 1)
		error = EINVAL;
	free(text);
	return error;
}

enum status pressure_open(struct pressure *pressure, const char *cgroup,
			  uint64_t stall_ms)
{
	uint64_t total = 0;
	int error;

	*pressure = (struct pressure) {
		.path = cgroup ? format("%s/memory.pressure", cgroup) :
				 checked(strdup("/proc/pressure/memory")),
		.trigger = -1,
		.stall_us = stall_ms * 1000,
	};
	error = read_total(pressure, &total);
	if (error) {
		complain("%s: %s", pressure->path, strerror(error));
		advise(cgroup ? "--cgroup takes the folder of a cgroup v2 below /sys/fs/cgroup" :
		       "the kernel has to be built and booted with pressure stall information (psi=1)");
		pressure_close(pressure);
		return status_of(error) == DENIED ? DENIED : FAILED;
	}
	for (size_t i = 0; i < PRESSURE_SAMPLES; i++)
		pressure->total_us[i] = total;
	if (!root_is_other())
		pressure->trigger = open_trigger(pressure->path,
						 pressure->stall_us);
	return DONE;
}

void pressure_close(struct pressure *pressure)
{
	if (pressure->trigger >= 0)
		close(pressure->trigger);
	free(pressure->path);
}

struct pollfd pressure_poll(const struct pressure *pressure)
{
	return (struct pollfd) {
		.fd = pressure->trigger,
		.events = POLLPRI,
	};
}

uint64_t pressure_due(const struct pressure *pressure)
{
	return pressure->trigger >= 0 ? UINT64_MAX : pressure->due;
}

int pressure_rose(struct pressure *pressure, short revents, uint64_t now)
{
	uint64_t total, *oldest;

	if (revents & POLLERR)
		return -1;
	if (pressure->trigger >= 0)
		return !!(revents & POLLPRI);
	if (now < pressure->due)
		return 0;
	pressure->due = now + PRESSURE_SAMPLE_MS;
	if (read_total(pressure, &total))
		return -1;
	oldest = &pressure->total_us[pressure->at++ % PRESSURE_SAMPLES];
	total -= *oldest;
	*oldest += total;
	return total >= pressure->stall_us;
}
