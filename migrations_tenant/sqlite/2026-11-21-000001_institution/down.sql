DROP TABLE activity_log;
DROP TABLE imports;
DROP TABLE students;
DROP TABLE people;
DROP TABLE user_roles;
DROP TABLE users;
DROP TABLE institution;
