"""The addresses of the shop's pages."""

from django.urls import path

from example_shop.shop import views

app_name = "shop"
urlpatterns = [
    path("", views.home, name="home"),
    path("search/", views.search, name="search"),
    path("c/<slug:slug>/", views.category, name="category"),
    path("product/<int:pk>/<slug:slug>/", views.product_detail, name="product_detail"),
    path("pictures/<slug:kind>/<slug:colour>/<int:variation>.svg", views.picture, name="picture"),
    path("basket/", views.basket, name="basket"),
    path("basket/add/<int:pk>/", views.add_to_basket, name="add_to_basket"),
    path("basket/change/<int:pk>/", views.change_basket, name="change_basket"),
    path("checkout/", views.checkout, name="checkout"),
    path("checkout/place/", views.place, name="place_order"),
    path("thanks/<uuid:number>/", views.thanks, name="thanks"),
    path("privacy/", views.privacy, name="privacy"),
    path("consent/", views.set_consent, name="consent"),
]
