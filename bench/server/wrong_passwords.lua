-- wrk script: logs in with wrong passwords, to a thousand accounts that do not exist.
local step = 0

wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"

function request()
  step = step + 1
  local body = string.format('{"email":"nobody-%d@example.org","password":"a wrong password"}', step % 1000)
  return wrk.format(nil, nil, nil, body)
end
