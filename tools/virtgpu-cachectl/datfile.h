/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes a trace.dat, version 6, as trace-cmd.dat.v6(5) describes it: what the
 * events look like, the names of tasks, and the pages of the ring buffer as the
 * kernel gave them.
 */
#ifndef DATFILE_H
#define DATFILE_H

#include "output.h"

/*
 * Into OUTPUT, of the events of SYSTEM in the folder TRACING; CPUS files have the
 * pages of each processor.
 */
enum status datfile_write(struct output *output, const char *tracing,
			  const char *system, FILE *const *pages,
			  unsigned int cpus);

#endif
