"""What a migration may do to tables that services are at work on."""
