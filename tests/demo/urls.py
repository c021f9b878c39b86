"""The test shop's pages: a product with recommendations, without, and one that a cache may keep."""

from django.urls import path

from tests.demo import views

app_name = "demo"
urlpatterns = [
    path("", views.home, name="home"),
    path("product/<int:pk>/", views.product, name="product"),
    path("product/<int:pk>/plain/", views.plain, name="plain"),
    path("product/<int:pk>/scripted/", views.scripted, name="scripted"),
    path("product/<int:pk>/cached/", views.cached, name="cached"),
]
