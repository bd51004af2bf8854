CREATE TABLE IF NOT EXISTS t (id bigint PRIMARY KEY, "name" text DEFAULT 'a: b # c');
