DROP TABLE notifications;
DROP TABLE announcements;
