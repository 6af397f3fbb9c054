INSERT INTO history (id, vehicle_id, kind, fields, undoes, at_us, device_id, program)
VALUES (:id, :vehicle_id, :kind, :fields, :undoes, :at_us, :device_id, :program);
