/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GUEST_GUEST_H
#define GUEST_GUEST_H

/*
 * Guest: the agent of a VM.  Listens on its port (agent/frame.h), starts the payload and
 * every exec, carries their streams, reaps, answers queries, and brings the machine to
 * its end in order: everything killed, unmounted, on disk, BYE, power off.
 *
 * Each session is FREE -> LOADING (its JSON comes in) -> RUNNING -> FREE.
 *
 * Context: pid 1 of a VM, one thread.
 */

#include "util/err.h"

/**
 * guest_serve() - serve the port until the VM is done
 * @port:      consumed
 * @initramfs: of guest_leave_initramfs(); consumed
 *
 * Returns when the machine should be powered off.
 */
void guest_serve(int port, int initramfs);

#endif
