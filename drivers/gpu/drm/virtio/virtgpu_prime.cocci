// SPDX-License-Identifier: GPL-2.0 OR MIT
// virtgpu_prime.c: who exports a BO shares it.

@export@
expression *buf;
@@
virtgpu_gem_prime_export(...)
{
...
+if (virtio_gpu_recycle_share(obj))
+	return ERR_PTR(-EINVAL);
buf = virtio_dma_buf_export(...);
...
}
