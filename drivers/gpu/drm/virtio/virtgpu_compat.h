/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * What differs between the kernels that are supported: later names in terms of
 * earlier ones.  Not part of what goes upstream.
 */
#ifndef VIRTGPU_COMPAT_H
#define VIRTGPU_COMPAT_H

#include <linux/slab.h>

/* 7.0 */
#ifndef kzalloc_obj
#define kzalloc_obj(obj) kzalloc(sizeof(obj), GFP_KERNEL)
#endif

#endif
