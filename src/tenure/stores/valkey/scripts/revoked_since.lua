-- KEYS: feed. ARGV: position. Answers the server's time, up to which everything has been told, then entries and their
-- positions in turn.
local time = redis.call('TIME')
local news = redis.call('ZRANGE', KEYS[1], '(' .. ARGV[1], '+inf', 'BYSCORE', 'WITHSCORES')
return {time[1] .. string.format('%06d', time[2]), news}
