"""URLs: the addresses of the pages of notifications."""

from django.urls import path

from notifications import views

app_name = "notifications"
urlpatterns = [
    path("notifications", views.notifications, name="list"),
    path("notifications/read", views.read, name="read"),
]
