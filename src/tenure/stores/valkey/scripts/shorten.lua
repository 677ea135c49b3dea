-- A shorter idle lifetime and an earlier end. KEYS: session. ARGV: idle lifetime, end. Answers the session as it is then, or
-- nothing where there was none that was not revoked, or whose idle lifetime is shorter already.
local value = redis.call('GET', KEYS[1])
if not value then
    return false
end
local expires_at, ends_at, _, revoked_at = times(value)
local binding, idle, authentication, rest = front(value)
if revoked_at ~= 0 or (idle ~= '' and tonumber(idle) < tonumber(ARGV[1])) then
    return false
end
local used_at = struct.unpack('>I8', value, 73)
ends_at = math.min(ends_at, tonumber(ARGV[2]))
expires_at = math.min(expires_at, ends_at, used_at + tonumber(ARGV[1]))
local size = struct.unpack('>H', value, 113)
local shortened = value:sub(1, 80) .. struct.pack('>I8I8', expires_at, ends_at) .. value:sub(97, 114 + size)
    .. binding .. '|' .. ARGV[1] .. '|' .. authentication .. value:sub(rest)
keep(KEYS[1], shortened, used_at, expires_at)
return shortened
