# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client probe: clients of vtgate that count every request, error and lost write.

The package imports nothing of Ansible, so it runs as a module's process and from a shell alike.
"""
