// SPDX-License-Identifier: GPL-2.0 OR MIT
// virtgpu_bo_cache_reclaim.c, ours, for earlier kernels; see virtgpu_compat.h.

// kernel: < 6.7
@private_data@
struct shrinker *shrinker;
@@
-shrinker->private_data
+to_virtgpu_shrinker(shrinker)->private_data

// kernel: < 6.7
@cache_private_data@
struct virtgpu_bo_cache *cache;
@@
-cache->shrinker->private_data
+to_virtgpu_shrinker(cache->shrinker)->private_data

// kernel: < 6.7
@may_fail@
expression shrinker;
@@
-shrinker_register(shrinker);
+if (virtgpu_shrinker_register(shrinker)) {
+	shrinker = NULL;
+	return -ENOMEM;
+}
