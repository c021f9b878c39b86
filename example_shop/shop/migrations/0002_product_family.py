from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="product",
            name="family",
            field=models.SlugField(blank=True, default="", max_length=120, verbose_name="family"),
            preserve_default=False,
        ),
    ]
