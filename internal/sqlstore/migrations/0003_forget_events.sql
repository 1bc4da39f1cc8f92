-- The oldest events are forgotten by number.
CREATE INDEX event_cameras_by_seq ON event_cameras (seq);
