-- An entry of another store's audit trail. KEYS: audit trails. ARGV: the entry, until when it is kept. Answers whether it
-- was not there yet.
local time = redis.call('TIME')
local kept = redis.call('PTTL', KEYS[1])
local wanted = math.ceil(tonumber(ARGV[2]) / 1000) - time[1] * 1000
local added = redis.call('ZADD', KEYS[1], 'NX', ARGV[2], ARGV[1])
redis.call('PEXPIRE', KEYS[1], math.max(kept, wanted, 0))
return added
