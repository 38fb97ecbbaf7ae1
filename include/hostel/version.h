/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HOSTEL_VERSION_H
#define HOSTEL_VERSION_H

/* Version of the C interface: raised when a symbol is added or changed. */
#define HOSTEL_API_VERSION 1

#endif
