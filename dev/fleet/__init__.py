# SPDX-License-Identifier: Apache-2.0
"""A fleet: Airflow over Celery, PostgreSQL, Redis and S3, whose parts are killed while it extracts; ``make fleet``."""
