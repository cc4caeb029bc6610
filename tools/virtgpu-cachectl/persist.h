/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Settings that survive a reboot and a device that comes back, as udev rules:
 * a file for all devices and one for each device with settings of its own.
 * PARENT is what the device is on, or NULL for all devices.
 */
#ifndef PERSIST_H
#define PERSIST_H

#include "cachectl.h"
#include "settings.h"

/* Whether a rule can name it: udev takes some characters for patterns */
bool persist_possible(const char *parent);

/* Adds them to the file, in one step; the file's others stay */
enum status persist_add(const struct settings *settings, const char *parent);

/* Removes the file; those of all devices if PARENT is NULL */
enum status persist_remove(const char *parent);

#endif
