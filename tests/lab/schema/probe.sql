CREATE TABLE probe (
  id     bigint      NOT NULL PRIMARY KEY,
  vtgate varchar(32) NOT NULL,
  kind   varchar(16) NOT NULL,
  value  bigint      NOT NULL,
  at_us  bigint      NOT NULL
)
