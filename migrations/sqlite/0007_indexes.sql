-- When a member's passkey was last changed, and what is told anew by the day it was retired.
create index retired_passkeys_user on retired_passkeys (user_id, retired_at);
create index retired_passkeys_retired on retired_passkeys (retired_at);

-- Members of a role or under a ban, by name; and whether there is another admin.
create index users_role on users (role, name_folded);
create index users_banned on users (name_folded) where banned_at is not null;

-- Whose blobs are to go, without a look at those that stay.
create index torrents_deleted on torrents (deleted_at) where state = 'deleted';
