# SPDX-License-Identifier: Apache-2.0
"""Write into Google Cloud Storage and Azure over HTTP, as their public emulators speak it: `make stores`."""
