-- wrk script: creates, changes and removes vehicles of many users. Configured by the environment:
-- TOKENS: a file with an access token in each line; RUN: a number that no other run has.
-- A vehicle is changed and removed LAG steps later, when its creation has certainly been answered.
local LAG = 256
local tokens, step = {}, 0

function init()
  for token in io.lines(os.getenv("TOKENS")) do table.insert(tokens, token) end
end

local function headers(vehicle)
  local token = tokens[vehicle % #tokens + 1]
  return { ["Authorization"] = "Bearer " .. token, ["Content-Type"] = "application/json" }
end

local function id(vehicle)
  return string.format("018f0000-%04x-7000-8000-%012x", tonumber(os.getenv("RUN")), vehicle)
end

function request()
  step = step + 1
  local vehicle, kind = math.floor(step / 3), step % 3
  if kind == 1 and vehicle > LAG then
    local path = "/api/vehicles/" .. id(vehicle - LAG)
    return wrk.format("PUT", path, headers(vehicle - LAG), '{"color":"Red","odometerReading":' .. vehicle .. "}")
  elseif kind == 2 and vehicle > 2 * LAG then
    return wrk.format("DELETE", "/api/vehicles/" .. id(vehicle - 2 * LAG), headers(vehicle - 2 * LAG))
  end
  -- The first steps create vehicles in place of changes, each with a number of its own.
  local new = kind == 0 and vehicle or 0x80000000 + step
  local body = '{"id":"%s","nickname":"Vehicle %d","licensePlate":"BE 7","color":"Blue"}'
  return wrk.format("POST", "/api/vehicles", headers(new), string.format(body, id(new), new))
end
