-- KEYS: session, feed, audit trails. ARGV: id, now, reason and by whom, address, until when that is kept, whether
-- quietly. Answers the session as it is then, or nothing where there was
-- none that was not already revoked.
local value = redis.call('GET', KEYS[1])
if not value then
    return false
end
local _, _, _, revoked_at = times(value)
if revoked_at ~= 0 then
    return false
end
return revoke(KEYS[1], ARGV[6] == 'quietly' and '' or KEYS[2], KEYS[3], ARGV[1], value, tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5])
