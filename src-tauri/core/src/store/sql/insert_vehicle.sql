INSERT INTO vehicles (
    id, vin, license_plate, nickname, year, make, model, trim_level, engine, transmission,
    drive_type, fuel_type, body_class, vehicle_type, color, odometer_reading, odometer_unit, notes,
    is_active, origins, created_at_us, updated_at_us, deleted_at_us
) VALUES (
    :id, :vin, :license_plate, :nickname, :year, :make, :model, :trim_level, :engine, :transmission,
    :drive_type, :fuel_type, :body_class, :vehicle_type, :color, :odometer_reading, :odometer_unit,
    :notes, :is_active, :origins, :created_at_us, :updated_at_us, :deleted_at_us
);
