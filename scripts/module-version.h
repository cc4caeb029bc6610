/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What modinfo says of our module.  Upstream's has no version, which tells the two
 * apart; so this is no part of what goes upstream.
 */
#include <linux/module.h>
#include <linux/stringify.h>

MODULE_VERSION(__stringify(BO_CACHE_VERSION));
