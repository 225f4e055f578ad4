-- The few who have more than a member's rights: `is:trusted` asks for their uploads.
create index users_trusted on users (id) where role <> 'member';
