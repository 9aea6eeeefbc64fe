-- A command takes no place in the order of incidents, and a report none in that of channels: each place costs a page of the disk.
CREATE INDEX inbox_new_of_incident ON inbox (incident, position) WHERE state = 'new' AND incident IS NOT NULL;
CREATE INDEX inbox_new_of_channel ON inbox (channel, position) WHERE state = 'new' AND channel IS NOT NULL;
DROP INDEX inbox_new_incident;
DROP INDEX inbox_new_channel;
