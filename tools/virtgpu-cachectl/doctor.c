// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * "doctor": what must be so for the cache to be of use, one check a line, and
 * what to do where it isn't.
 */

#include <EGL/egl.h>
#include <EGL/eglext.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "buckets.h"
#include "device.h"
#include "files.h"
#include "table.h"

#define VIRTIO_DEVICES "/sys/bus/virtio/devices"

/* From the virtio specification */
#define VIRTIO_ID_BALLOON 5
#define VIRTIO_ID_GPU 16
#define VIRTIO_BALLOON_F_REPORTING 5
#define VIRTIO_GPU_F_VIRGL 0

enum verdict { GOOD, NOTE, BAD };

struct report {
	struct libscols_table *table;
	bool bad;
};

/* Takes FOUND, not the others */
static void tell(struct report *report, const char *check, enum verdict verdict,
		 char *found, const char *advice)
{
	static const struct { const char *text, *colour; } verdicts[] = {
		[GOOD] = { "ok", "green" },
		[NOTE] = { "note", "yellow" },
		[BAD] = { "bad", "red" },
	};
	struct libscols_line *line = table_line(report->table, NULL);

	table_cell(line, 0, checked(strdup(check)));
	table_cell(line, 1, checked(strdup(verdicts[verdict].text)));
	scols_cell_set_color(scols_line_get_cell(line, 1),
			     verdicts[verdict].colour);
	table_cell(line, 2, found);
	if (advice && verdict != GOOD)
		table_cell(line, 3, checked(strdup(advice)));
	report->bad |= verdict == BAD;
}

/* The next virtio device of a kind, or NULL; the caller frees it */
static char *next_virtio(DIR *dir, unsigned int kind)
{
	struct dirent *entry;
	unsigned int id;
	char *path, *text;
	bool found;

	while (dir && (entry = readdir(dir))) {
		path = format(VIRTIO_DEVICES "/%s/device", entry->d_name);
		found = !file_read(path, &text) &&
			sscanf(text, "%x", &id) == 1 && id == kind;
		free(text);
		free(path);
		if (found)
			return checked(strdup(entry->d_name));
	}
	return NULL;
}

static bool has_virtio(unsigned int kind)
{
	DIR *dir = dir_open(VIRTIO_DEVICES);
	char *name = next_virtio(dir, kind);
	bool has = name;

	free(name);
	if (dir)
		closedir(dir);
	return has;
}

static void check_device(struct report *report, const struct devices *devices)
{
	bool there = has_virtio(VIRTIO_ID_GPU);

	if (devices->n)
		tell(report, "device", GOOD,
		     format("%zu with a driver", devices->n), NULL);
	else if (there)
		tell(report, "device", BAD,
		     checked(strdup("a virtio GPU without a driver")),
		     "modprobe virtio-gpu, or bind it: see " DRIVER_PATH);
	else
		tell(report, "device", BAD,
		     checked(strdup("this machine has no virtio GPU")),
		     "give the guest one: qemu -device virtio-gpu-gl-pci or virtio-gpu-pci");
}

static void check_module(struct report *report, const struct device *device)
{
	char *version;

	if (!device->cached) {
		tell(report, "module", BAD,
		     format("%s: the stock driver", device->name),
		     "install the virtio-gpu module with the cache, update the initramfs and reboot");
		return;
	}
	if (file_read("/sys/module/virtio_gpu/version", &version))
		version = checked(strdup("unknown\n"));
	tell(report, "module", GOOD,
	     format("%s: has the cache, version %.*s", device->name,
		    (int)strcspn(version, "\n"), version), NULL);
	free(version);
}

static void check_on(struct report *report, const struct device *device)
{
	const char *advice = NULL, *what = "on";

	if (!device->cached)
		return;
	if (!device_value(device, "enabled")) {
		what = "off";
		advice = "virtgpu-cachectl set enabled=on";
	} else if (!device_value(device, "timeout_ms")) {
		what = "off, because its timeout is 0";
		advice = "virtgpu-cachectl set timeout_ms=1s";
	} else if (!device_value(device, "max_bytes")) {
		what = "on, but its limit is 0: nothing fits";
		advice = "virtgpu-cachectl set max_bytes=64M";
	}
	tell(report, "cache", advice ? BAD : GOOD,
	     format("%s: %s", device->name, what), advice);
}

static void check_virgl(struct report *report, const struct device *device)
{
	bool virgl = virtio_has_feature(device->name, VIRTIO_GPU_F_VIRGL);

	tell(report, "virgl", virgl ? GOOD : NOTE,
	     format("%s: %s", device->name, virgl ? "the host draws in 3D" :
		    "2D only, so there is no resource tier"),
	     "on the host: qemu -device virtio-gpu-gl-pci -display sdl,gl=on");
}

/* The name of the driver that Mesa takes, as Mesa itself tells it; or "" */
static const char *ask_mesa(void)
{
	PFNEGLGETPLATFORMDISPLAYPROC get_display;
	PFNEGLGETDISPLAYDRIVERNAMEPROC get_name;
	PFNEGLINITIALIZEPROC initialize;
	PFNEGLGETPROCADDRESSPROC find;
	void *egl = dlopen("libEGL.so.1", RTLD_NOW | RTLD_LOCAL);
	EGLDisplay display;
	const char *name;

	if (!egl)
		return "";
	find = (PFNEGLGETPROCADDRESSPROC)dlsym(egl, "eglGetProcAddress");
	initialize = (PFNEGLINITIALIZEPROC)dlsym(egl, "eglInitialize");
	if (!find || !initialize)
		return "";
	get_display = (PFNEGLGETPLATFORMDISPLAYPROC)
		find("eglGetPlatformDisplay");
	get_name = (PFNEGLGETDISPLAYDRIVERNAMEPROC)
		find("eglGetDisplayDriverName");
	if (!get_display || !get_name)
		return "";
	display = get_display(EGL_PLATFORM_SURFACELESS_MESA,
			      EGL_DEFAULT_DISPLAY, NULL);
	if (!initialize(display, NULL, NULL))
		return "";
	name = get_name(display);
	return name ? name : "";
}

/*
 * In a process of its own: GL drivers start threads, print what they like, and
 * need not survive a broken device.
 */
static void ask_mesa_apart(char *driver, size_t size)
{
	ssize_t len = 0;
	int ends[2];
	pid_t pid;

	driver[0] = '\0';
	if (pipe(ends))
		return;
	pid = fork();
	if (!pid) {
		const char *name;

		if (!freopen("/dev/null", "w", stderr))
			_exit(1);
		name = ask_mesa();
		len = write(ends[1], name, strlen(name));
		_exit(len < 0);
	}
	close(ends[1]);
	if (pid > 0) {
		len = read(ends[0], driver, size - 1);
		waitpid(pid, NULL, 0);
	}
	driver[len > 0 ? len : 0] = '\0';
	close(ends[0]);
}

static void check_mesa(struct report *report)
{
	char driver[64];

	/* Mesa looks at this machine's files, whatever --sysroot says */
	if (root_is_other())
		return;
	ask_mesa_apart(driver, sizeof(driver));
	if (!*driver)
		tell(report, "mesa", NOTE,
		     checked(strdup("Mesa's EGL can't be asked")),
		     "install Mesa (libegl-mesa0), if programs here are to draw in 3D");
	else if (!strcmp(driver, "virtio_gpu"))
		tell(report, "mesa", GOOD,
		     checked(strdup("uses virgl (virtio_gpu)")), NULL);
	else
		tell(report, "mesa", NOTE,
		     format("uses %s, not virgl", driver),
		     "be in the group of /dev/dri/renderD*; unset LIBGL_ALWAYS_SOFTWARE; the device must have virgl");
}

static void count_bucket(const struct bucket *bucket, void *arg)
{
	(void)bucket;
	++*(unsigned int *)arg;
}

static void check_debugfs(struct report *report, const struct device *device)
{
	unsigned int buckets = 0;
	char *path;
	int error;

	if (!device->cached)
		return;
	path = buckets_path(device);
	error = buckets_read(device, count_bucket, &buckets);
	if (!error)
		tell(report, "debugfs", GOOD,
		     format("%s: %s", device->name, path), NULL);
	else
		tell(report, "debugfs", NOTE,
		     format("%s: %s: %s", device->name, path, strerror(error)),
		     status_of(error) == DENIED ?
		     "only root can read it" :
		     "mount -t debugfs debugfs /sys/kernel/debug");
	free(path);
}

/* What is freed in the guest is the host's again only with a balloon. */
static void check_host(struct report *report)
{
	DIR *dir = dir_open(VIRTIO_DEVICES);
	bool balloon = false, reporting = false;
	char *name;

	while ((name = next_virtio(dir, VIRTIO_ID_BALLOON))) {
		balloon = true;
		reporting |= virtio_has_feature(name,
						VIRTIO_BALLOON_F_REPORTING);
		free(name);
	}
	if (dir)
		closedir(dir);
	if (reporting && !file_exists("/sys/bus/virtio/drivers/virtio_balloon"))
		tell(report, "host", NOTE,
		     checked(strdup("a balloon without a driver")),
		     "modprobe virtio_balloon");
	else
		tell(report, "host", reporting ? GOOD : NOTE,
		     checked(strdup(reporting ? "takes free pages back" :
				    balloon ?
				    "has a balloon, but is not told of free pages" :
				    "there is no balloon: freed pages stay with the guest")),
		     "on the host: qemu -device virtio-balloon-pci,free-page-reporting=on");
}

enum status cmd_doctor(const struct options *opts, int argc, char **argv)
{
	struct report report = { table_new("checks", opts), false };
	struct devices devices;
	enum status status;

	(void)argc;
	(void)argv;
	table_column(report.table, "CHECK", COLUMN_TEXT, opts);
	table_column(report.table, "VERDICT", COLUMN_TEXT, opts);
	table_column(report.table, "FOUND", COLUMN_TEXT, opts);
	table_column(report.table, "ADVICE", COLUMN_TEXT, opts);
	devices_find(&devices);
	check_device(&report, &devices);
	for (size_t i = 0; i < devices.n; i++) {
		check_module(&report, &devices.v[i]);
		check_on(&report, &devices.v[i]);
		check_virgl(&report, &devices.v[i]);
		check_debugfs(&report, &devices.v[i]);
	}
	check_mesa(&report);
	check_host(&report);
	devices_free(&devices);
	status = table_end(report.table);
	return status ? status : report.bad ? FAILED : DONE;
}
